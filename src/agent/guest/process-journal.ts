import { fromJson, toJson } from "@bufbuild/protobuf";
import { appendFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isAlive, startTimeOf } from "../../base/processes.ts";
import { type ProcessConfig, ProcessConfigSchema } from "../protocol/generated/process_pb.js";

/** A process that an agent before this one has started, and that runs on. */
export interface LeftProcess {
  readonly pid: number;
  readonly startTime: string;
  readonly config: ProcessConfig;
  readonly tag?: string | undefined;
}

/** Lines that are kept before those of ended processes are left out. */
const linesMax = 2048;

/**
 * Which processes clients have started, for an agent that is started when this one has died: a file in memory that
 * only root may read, a line for each start and each end.
 */
export class ProcessJournal {
  /** Those that were there when this agent began. */
  readonly left: readonly LeftProcess[];
  readonly #path: string;
  readonly #running = new Map<number, string>();
  #lines = 0;

  constructor(path: string) {
    this.#path = path;
    const left = new Map<number, LeftProcess>();
    for (const line of linesOf(path)) {
      const entry = parse(line);
      if (entry !== undefined && isAlive(entry)) left.set(entry.pid, entry);
    }
    this.left = [...left.values()];
    for (const each of this.left) this.#running.set(each.pid, encode(each));
    this.#rewrite();
  }

  /** Written a moment later: the client is told first. */
  started(process: Omit<LeftProcess, "startTime">): void {
    setImmediate(() => {
      const startTime = startTimeOf(process.pid);
      if (startTime === undefined) return; // It has ended by now.
      const line = encode({ ...process, startTime });
      this.#running.set(process.pid, line);
      appendFileSync(this.#path, line, { mode: 0o600 });
      this.#lines += 1;
      if (this.#lines > linesMax) this.#rewrite();
    });
  }

  /** Its line is left out when the file is written anew: until then nobody takes another process for it. */
  ended(pid: number): void {
    this.#running.delete(pid);
  }

  #rewrite(): void {
    const fresh = `${this.#path}.new`;
    writeFileSync(fresh, [...this.#running.values()].join(""), { mode: 0o600 });
    renameSync(fresh, this.#path);
    this.#lines = this.#running.size;
  }
}

function encode({ pid, startTime, config, tag }: LeftProcess): string {
  const own = tag === undefined ? {} : { tag };
  return `${JSON.stringify({ pid, startTime, ...own, config: toJson(ProcessConfigSchema, config) })}\n`;
}

/** Undefined for a line that was cut off by the end of who wrote it. */
function parse(line: string): LeftProcess | undefined {
  try {
    const { config, ...rest } = JSON.parse(line) as LeftProcess & { config: never };
    return { ...rest, config: fromJson(ProcessConfigSchema, config) };
  } catch {
    return undefined;
  }
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
