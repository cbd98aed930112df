import { Worker } from "node:worker_threads";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Meter } from "../../base/meter.ts";
import { closeDescriptor } from "../socket-calls.ts";
import type { ExportFacts, FromWorker, ToWorker, WorkerStart } from "./messages.ts";
import { CountsReader, newCounts } from "./shared-counts.ts";

/** What of a worker its thread needs to know. */
export type SpawnWorker = (start: WorkerStart) => Worker;

/** What a thread does not settle by itself. */
export interface ThreadEvents {
  onRead(thread: NbdThread, read: FromWorker & { type: "read" }): void;
  onForget(thread: NbdThread, key: number): void;
  onGone(exportId: number, connection: number): void;
  /** All its clients were hung up on, and its reads are of no use to anybody any more. */
  onDeath(thread: NbdThread): void;
  /** After a death there is a worker again. */
  onUp(): void;
}

export interface NbdThreadOptions {
  readonly number: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly events: ThreadEvents;
  readonly spawn?: SpawnWorker;
}

/** Pauses before a worker that died is replaced: the first at once. */
const pauseMsFirst = 100;
const pauseMsMax = 5_000;
/** A worker that lived so long did not die of what killed the one before. */
const soundMs = 60_000;
/** No worker grows beyond this; one that would, dies and is replaced. */
const heapMbMax = 128;

/**
 * One worker after another, as one thread to the rest: when a worker dies, its successor is told of the same exports.
 *
 *   serving ──dies──▶ (paused ──▶) serving ──▶ … ──close──▶ closed
 */
export class NbdThread {
  readonly #o: NbdThreadOptions;
  readonly #exports = new Map<number, ExportFacts>();
  readonly #counts = newCounts();
  readonly #countsReader = new CountsReader(this.#counts);
  readonly #closings = new Map<number, PromiseWithResolvers<void>>();
  readonly #passings = new Map<number, PromiseWithResolvers<void>>();
  #worker: Worker | undefined;
  #adopted = new Int32Array(new SharedArrayBuffer(4));
  /** Sockets given to this worker, in order; those beyond `#adopted` it has not taken over yet. */
  #given: number[] = [];
  #givenBefore = 0;
  #startedAt = 0;
  #pauseMs = 0;
  #pause: Disposable | undefined;
  #nextKey = 0;
  #ending = false;

  constructor(options: NbdThreadOptions) {
    this.#o = options;
    this.#start();
  }

  /** True while a worker is there to be handed clients. */
  get isUp(): boolean {
    return this.#worker !== undefined;
  }

  offer(facts: ExportFacts): void {
    this.#exports.set(facts.id, facts);
    this.post({ type: "export", facts });
  }

  /** Hands a client over: its descriptor is not the caller's any more. The thread must be up. */
  connect(exportId: number, connection: number, descriptor: number): void {
    const adopted = Atomics.load(this.#adopted, 0);
    this.#given.splice(0, adopted - this.#givenBefore);
    this.#givenBefore = adopted;
    this.#given.push(descriptor);
    this.post({ type: "connect", export: exportId, connection, descriptor });
  }

  /** Resolves when no client of the export is left here, and no read of its. */
  async close(exportId: number): Promise<void> {
    this.#exports.delete(exportId);
    if (!this.isUp) return;
    const closing = Promise.withResolvers<void>();
    this.#closings.set(exportId, closing);
    this.post({ type: "close", export: exportId });
    await closing.promise;
  }

  /** See `OtherReaders`. A worker that dies meanwhile reads nothing more, and its clients' sockets are closed. */
  async passed(): Promise<void> {
    if (!this.isUp) return;
    const key = this.#nextKey++;
    const passing = Promise.withResolvers<void>();
    this.#passings.set(key, passing);
    this.post({ type: "pass", key });
    await passing.promise;
  }

  post(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  tellCounts(): void {
    this.#countsReader.tell(this.#o.meter);
  }

  /** Ends the worker at once. Its exports should be closed by then. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#pause?.[Symbol.dispose]();
    await this.#worker?.terminate();
  }

  #start(): void {
    const { clock, logger, number, spawn = spawnWorker } = this.#o;
    this.#startedAt = clock.monotonic();
    this.#adopted = new Int32Array(new SharedArrayBuffer(4));
    this.#givenBefore = 0;
    const worker = spawn({ adopted: this.#adopted, counts: this.#counts });
    worker.on("message", (message: FromWorker) => this.#take(message));
    worker.on("error", (error) => logger.error({ thread: number, err: error }, "NBD worker failed"));
    worker.on("exit", () => this.#died());
    this.#worker = worker;
    for (const facts of this.#exports.values()) this.post({ type: "export", facts });
  }

  #take(message: FromWorker): void {
    const { events, logger } = this.#o;
    switch (message.type) {
      case "read":
        return events.onRead(this, message);
      case "forget":
        return events.onForget(this, message.key);
      case "gone":
        return events.onGone(message.export, message.connection);
      case "closed":
        this.#closings.get(message.export)?.resolve();
        return void this.#closings.delete(message.export);
      case "passed":
        this.#passings.get(message.key)?.resolve();
        return void this.#passings.delete(message.key);
      case "log":
        return logger[message.level](message.facts, message.event);
    }
  }

  /** The sockets that the worker had taken over were closed with it; those on their way are closed here. */
  #died(): void {
    const { clock, events, logger, number } = this.#o;
    this.#worker = undefined;
    const adopted = Atomics.load(this.#adopted, 0) - this.#givenBefore;
    for (const descriptor of this.#given.splice(0).slice(adopted)) closeDescriptor(descriptor);
    this.tellCounts();
    events.onDeath(this);
    for (const waits of [this.#closings, this.#passings]) {
      for (const { resolve } of waits.values()) resolve();
      waits.clear();
    }
    if (this.#ending) return;
    const sound = clock.monotonic() - this.#startedAt >= soundMs;
    const pauseMs = sound ? 0 : this.#pauseMs;
    this.#pauseMs = Math.min(pauseMsMax, Math.max(pauseMsFirst, pauseMs * 2));
    logger.error({ thread: number, pauseMs }, "NBD worker died; its clients have to connect anew");
    this.#pause = clock.after(pauseMs, () => {
      this.#start();
      events.onUp();
    });
  }
}

function spawnWorker(workerData: WorkerStart): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: heapMbMax };
  return new Worker(new URL("main.ts", import.meta.url), { workerData, resourceLimits, name: "nbd" });
}
