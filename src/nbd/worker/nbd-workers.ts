import { type Clock, systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Meter } from "../../base/meter.ts";
import type { DiskExport, DiskExports, ExportOptions } from "../disk-exports.ts";
import { defaultLimits, type NbdLimits } from "../limits.ts";
import { NbdExport } from "../nbd-export.ts";
import { NbdThread, type SpawnWorker } from "./nbd-thread.ts";
import { WorkerExport } from "./worker-export.ts";

export interface NbdWorkersOptions {
  readonly threads: number;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly clock?: Clock;
  readonly limits?: Partial<NbdLimits>;
  readonly spawn?: SpawnWorker;
}

/** How often the workers' counters are told to the meter. */
const countsEveryMs = 1000;

/** Offers disks from worker threads: what is present is answered there, without a word to the main thread (C13). */
export class NbdWorkers implements DiskExports, AsyncDisposable {
  readonly #o: NbdWorkersOptions;
  readonly #clock: Clock;
  #threads: readonly NbdThread[] = [];
  readonly #exports = new Map<number, WorkerExport>();
  #nextExport = 0;
  #counting: Disposable | undefined;

  constructor(options: NbdWorkersOptions) {
    this.#o = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Starts the threads, unless they are there: else the first `listen` does. */
  start(): void {
    if (this.#threads.length > 0) return;
    this.#threads = Array.from({ length: this.#o.threads }, (_, number) => this.#thread(number));
    this.#counting = this.#countLater();
  }

  /** Without an image, which workers could read, the device is offered from this thread. */
  async listen(options: ExportOptions): Promise<DiskExport> {
    const { logger, meter } = this.#o;
    const { image } = options;
    const clock = this.#clock;
    const limits = { ...defaultLimits, ...this.#o.limits };
    if (image === undefined) return NbdExport.listen({ ...options, logger, meter, limits, clock });
    this.start();
    const id = this.#nextExport++;
    const onClosed = () => void this.#exports.delete(id);
    const onMade = (made: WorkerExport) => void this.#exports.set(id, made);
    const threads = this.#threads;
    return WorkerExport.listen({ ...options, image, id, limits, threads, logger, onMade, onClosed });
  }

  async passed(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.passed()));
  }

  /** Brings the meter up to date. */
  tellCounts(): void {
    for (const thread of this.#threads) thread.tellCounts();
  }

  /** Closes what is still being offered, and ends the threads. */
  async close(): Promise<void> {
    this.#counting?.[Symbol.dispose]();
    await Promise.all([...this.#exports.values()].map((each) => each.close()));
    await Promise.all(this.#threads.map((thread) => thread.end()));
    this.tellCounts();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #thread(number: number): NbdThread {
    const { logger, meter, spawn } = this.#o;
    return new NbdThread({
      ...{ number, clock: this.#clock, logger, meter },
      ...(spawn === undefined ? {} : { spawn }),
      events: {
        onRead: (thread, read) => this.#exports.get(read.export)?.read(thread, read),
        onForget: (thread, key) => {
          for (const each of this.#exports.values()) each.forget(thread, key);
        },
        onGone: (id, connection) => this.#exports.get(id)?.gone(connection),
        onDeath: (thread) => {
          for (const each of this.#exports.values()) each.lost(thread);
        },
        onUp: () => {
          for (const each of this.#exports.values()) each.retry();
        },
      },
    });
  }

  #countLater(): Disposable {
    return this.#clock.after(countsEveryMs, () => {
      this.tellCounts();
      this.#counting = this.#countLater();
    });
  }
}
