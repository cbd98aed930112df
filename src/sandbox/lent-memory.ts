import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { killByIdentity, type ProcessIdentity } from "../base/processes.ts";
import type { Whole } from "../base/tracer.ts";
import type { FileIdentity } from "../memory/mount-table.ts";
import type { FaultNews } from "../memory/wire.ts";

export interface LentMemoryOptions {
  /** Of the server. */
  readonly name: string;
  readonly build: string;
  readonly path: string;
  readonly file: FileIdentity;
  readonly sandbox: string;
  /** The guest's disk was read, and the shelf did not have it. */
  readonly onDiskRead: (offset: number, bytes: number) => void;
  /** The guest is up. */
  readonly onUp: () => void;
  readonly giveBack: (how: "end" | "leave") => Promise<void>;
  readonly logger: Logger;
  readonly meter: Meter;
}

/**
 * A memory that comes page by page, as one sandbox uses it. While the sandbox starts, a page that cannot be had is a
 * failure of the start; later its guest waits, and is told of as stalled.
 */
export class LentMemory implements AsyncDisposable {
  readonly name: string;
  readonly path: string;
  readonly file: FileIdentity;
  readonly sandbox: string;
  readonly #options: LentMemoryOptions;
  readonly #failing = new AbortController();
  #machine: ProcessIdentity | undefined;
  #begun = false;
  #up = false;
  #start: Whole | undefined;
  #reason: Failure | undefined;
  #back: Promise<void> | undefined;
  #stalled = 0;

  constructor(options: LentMemoryOptions) {
    this.name = options.name;
    this.path = options.path;
    this.file = options.file;
    this.sandbox = options.sandbox;
    this.#options = options;
  }

  /** Aborts when the sandbox cannot start for want of its memory, with the reason. */
  get failed(): AbortSignal {
    return this.#failing.signal;
  }

  /** The guest waits for its memory, and has for long. */
  get isStalled(): boolean {
    return this.#stalled > 0;
  }

  /** The start that reads of the guest are a part of; undefined when there is none under way. */
  get start(): Whole | undefined {
    return this.#start;
  }

  /** The guest begins to run: until it is up, a part that cannot be had is a failure of `start`. */
  begin(start: Whole): void {
    this.#begun = true;
    this.#start = start;
  }

  /** There is a machine that has mapped it. */
  mappedBy(machine: ProcessIdentity): void {
    this.#machine = machine;
  }

  onDiskRead(offset: number, bytes: number): void {
    this.#options.onDiskRead(offset, bytes);
  }

  /** The guest is up: from now on trouble is waited out, and the rest of the memory may come. */
  tolerate(): void {
    this.#up = true;
    this.#start = undefined;
    this.#options.onUp();
  }

  /** Some part could not be had, and is tried again. */
  onTrouble(failure: Failure): void {
    this.#reason = failure;
    if (this.#begun && !this.#up) this.#failing.abort(failure);
  }

  /** True when the news were of this guest. */
  onNews(chunk: number, { pid, waitedMs, what }: FaultNews): boolean {
    if (pid !== this.#machine?.pid) return false;
    const { build, logger, meter, sandbox } = this.#options;
    const facts = { sandbox, build, chunk, waitedMs };
    const reason = this.#reason?.message;
    if (what === "stalled") {
      this.#stalled += 1;
      meter.count("larder_memory_stalls_total");
      logger.warn({ ...facts, reason }, "a guest waits for its memory: it is stalled");
      return true;
    }
    this.#stalled = Math.max(0, this.#stalled - 1);
    if (what === "answered") logger.info(facts, "the memory that a guest waited for has come");
    else {
      meter.count("larder_memory_given_up_total");
      logger.error({ ...facts, reason }, "a guest was ended: a part of its memory could not be had");
    }
    return true;
  }

  /** Nobody serves the memory any more: the machine is ended before it could see what is none. */
  onLost(): void {
    const { build, logger, sandbox } = this.#options;
    if (this.#back !== undefined) return;
    logger.error({ sandbox, build }, "what serves the memory of a guest is no more");
    this.#failing.abort(new Failure("unavailable", `the memory of build ${build} is served no more`));
    if (this.#machine !== undefined) killByIdentity(this.#machine);
  }

  /** Its machine runs on without this program, and so does what serves its memory. */
  leave(): Promise<void> {
    return (this.#back ??= this.#options.giveBack("leave"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#back ??= this.#options.giveBack("end"));
  }
}
