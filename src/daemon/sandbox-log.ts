import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { SandboxLogEntry, SandboxLogs } from "../api/ports.ts";

/** All of it together stays below about 20 MiB. */
const limits = { sandboxesMax: 1000, entriesMax: 100, textMax: 200 };

/** A logger that remembers, for clients, the last of what it was told about each sandbox. */
export class SandboxLog implements Logger, SandboxLogs {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #entries = new Map<string, SandboxLogEntry[]>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  debug(facts: object, event: string): void {
    this.#logger.debug(facts, event);
  }

  info(facts: object, event: string): void {
    this.#logger.info(facts, event);
    this.#remember("info", facts, event);
  }

  warn(facts: object, event: string): void {
    this.#logger.warn(facts, event);
    this.#remember("warn", facts, event);
  }

  error(facts: object, event: string): void {
    this.#logger.error(facts, event);
    this.#remember("error", facts, event);
  }

  async of(id: string): Promise<readonly SandboxLogEntry[]> {
    return [...(this.#entries.get(id) ?? [])];
  }

  #remember(level: SandboxLogEntry["level"], facts: object, message: string): void {
    const { sandbox, ...others } = facts as Record<string, unknown>;
    if (typeof sandbox !== "string") return;
    const entry = { atMs: this.#clock.now(), level, message, fields: fieldsOf(others) };
    const entries = [...(this.#entries.get(sandbox) ?? []), entry].slice(-limits.entriesMax);
    this.#entries.delete(sandbox);
    this.#entries.set(sandbox, entries);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > limits.sandboxesMax && oldest !== undefined) this.#entries.delete(oldest);
  }
}

/** Only plain facts: an error's stack and what may hold a secret are the operator's. */
function fieldsOf(facts: Record<string, unknown>): Record<string, string> {
  const fields: [string, string][] = [];
  for (const [name, value] of Object.entries(facts)) {
    if (value instanceof Error) fields.push([name, value.message.slice(0, limits.textMax)]);
    else if (["string", "number", "boolean"].includes(typeof value))
      fields.push([name, String(value).slice(0, limits.textMax)]);
  }
  return Object.fromEntries(fields);
}
