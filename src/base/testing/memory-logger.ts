import type { Logger } from "../logger.ts";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly facts: object;
  readonly event: string;
}

/** Keeps what was logged. */
export class MemoryLogger implements Logger {
  readonly lines: LogLine[] = [];

  debug(facts: object, event: string): void {
    this.lines.push({ level: "debug", facts, event });
  }

  info(facts: object, event: string): void {
    this.lines.push({ level: "info", facts, event });
  }

  warn(facts: object, event: string): void {
    this.lines.push({ level: "warn", facts, event });
  }

  error(facts: object, event: string): void {
    this.lines.push({ level: "error", facts, event });
  }

  /** The lines that somebody should look at. */
  get warnings(): readonly LogLine[] {
    return this.lines.filter(({ level }) => level === "warn" || level === "error");
  }
}
