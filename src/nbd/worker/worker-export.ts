import { createServer, type Server, type Socket } from "node:net";
import { Failure } from "../../base/failure.ts";
import type { Logger } from "../../base/logger.ts";
import type { SharedImage } from "../../base/shared-image.ts";
import type { DiskExport, ExportOptions } from "../disk-exports.ts";
import type { NbdLimits } from "../limits.ts";
import { listenUnix } from "../listen-unix.ts";
import { closeDescriptor, descriptorOf, duplicate } from "../socket-calls.ts";
import type { ExportFacts, FromWorker, PlainFailure } from "./messages.ts";
import type { NbdThread } from "./nbd-thread.ts";

export interface WorkerExportOptions extends ExportOptions {
  readonly image: SharedImage;
  readonly id: number;
  readonly limits: NbdLimits;
  readonly threads: readonly NbdThread[];
  readonly logger: Logger;
  /** Called before the first client can come. */
  readonly onMade: (made: WorkerExport) => void;
  /** Called when nothing of the export is open any more. */
  readonly onClosed: () => void;
}

/**
 * A disk that is offered by worker threads. The main thread takes the clients in, hands them over, and reads from
 * `device` what is not present in the image.
 */
export class WorkerExport implements DiskExport {
  readonly #o: WorkerExportOptions;
  readonly #server: Server;
  /** Clients by number, and who serves them. */
  readonly #clients = new Map<number, NbdThread>();
  /** Clients that came while no worker was up. */
  #queue: Socket[] = [];
  readonly #reads = new Map<NbdThread, Map<number, AbortController>>();
  readonly #reading = new Set<Promise<void>>();
  #nextClient = 0;
  #closing: Promise<void> | undefined;

  static async listen(options: WorkerExportOptions): Promise<WorkerExport> {
    const made = new WorkerExport(options);
    options.onMade(made);
    const { bytes } = options.device;
    const { description = "", id, image, limits, name = "" } = options;
    const offer = { name, description, bytes, requestBytesMax: limits.requestBytesMax };
    const facts: ExportFacts = { id, image, offer, limits };
    for (const thread of options.threads) thread.offer(facts);
    try {
      await listenUnix(made.#server, options.path, options.mode ?? 0o600);
    } catch (error) {
      await made.close();
      throw error;
    }
    return made;
  }

  private constructor(options: WorkerExportOptions) {
    this.#o = options;
    const settings = { allowHalfOpen: true, pauseOnConnect: true };
    this.#server = createServer(settings, (socket) => this.#welcome(socket));
    this.#server.on("error", (error) => {
      // Before it listens, whoever wants it to is told.
      if (this.#server.listening) options.logger.error({ err: error }, "NBD export cannot accept");
    });
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#clients.size + this.#queue.length;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  destroy(reason: Error): void {
    const failure = plainFailure(reason);
    for (const thread of this.#o.threads) {
      thread.post({ type: "destroy", export: this.#o.id, reason: failure });
      for (const read of this.#reads.get(thread)?.values() ?? []) read.abort(reason);
    }
    void this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A worker asks for what it does not find; it is answered whatever becomes of the read. */
  read(thread: NbdThread, { key, offset, bytes }: FromWorker & { type: "read" }): void {
    const controller = new AbortController();
    const reads = this.#reads.get(thread) ?? new Map<number, AbortController>();
    this.#reads.set(thread, reads);
    reads.set(key, controller);
    const reading = this.#read(thread, key, offset, bytes, controller.signal).finally(() => {
      reads.delete(key);
      this.#reading.delete(reading);
    });
    this.#reading.add(reading);
  }

  /** The worker does not wait for that read any more. */
  forget(thread: NbdThread, key: number): void {
    this.#reads.get(thread)?.get(key)?.abort(new Failure("cancelled", "the NBD client has gone"));
  }

  gone(connection: number): void {
    this.#clients.delete(connection);
  }

  /** A worker has died: its clients are gone, and what it asked for is of no use. */
  lost(thread: NbdThread): void {
    for (const [client, server] of this.#clients) if (server === thread) this.#clients.delete(client);
    const reason = new Failure("cancelled", "the NBD worker has died");
    for (const read of this.#reads.get(thread)?.values() ?? []) read.abort(reason);
    this.#reads.delete(thread);
  }

  /** There are workers again for those who wait. */
  retry(): void {
    for (const socket of this.#queue.splice(0)) this.#welcome(socket);
  }

  async #read(
    thread: NbdThread,
    key: number,
    offset: number,
    bytes: number,
    signal: AbortSignal,
  ): Promise<void> {
    const into = new Uint8Array(bytes);
    try {
      await this.#o.device.read(offset, into, signal);
      // Nobody waits for an aborted read, and a worker that came after the one that died may use its key again.
      if (!signal.aborted) thread.post({ type: "bytes", key, bytes: into }, [into.buffer]);
    } catch (error) {
      if (!signal.aborted) thread.post({ type: "failed", key, failure: plainFailure(error) });
    }
  }

  async #close(): Promise<void> {
    const { id, onClosed, threads } = this.#o;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#queue.splice(0)) socket.destroy();
    await Promise.all(threads.map((thread) => thread.close(id)));
    await Promise.all(this.#reading);
    await closed;
    onClosed();
  }

  #welcome(socket: Socket): void {
    const { logger, limits } = this.#o;
    if (this.connections >= limits.connectionsMax) {
      logger.warn({ connectionsMax: limits.connectionsMax }, "NBD client hung up on: too many are connected");
      socket.destroy();
      return;
    }
    const thread = this.#leastBusy();
    if (thread === undefined) return void this.#queue.push(socket);
    try {
      this.#handOver(socket, thread);
    } catch (error) {
      logger.warn({ err: error }, "NBD client hung up on");
      socket.destroy();
    }
  }

  /** The worker gets a descriptor of its own; closing ours ends nothing. */
  #handOver(socket: Socket, thread: NbdThread): void {
    const descriptor = duplicate(descriptorOf(socket));
    socket.destroy();
    if (this.#closing !== undefined) return closeDescriptor(descriptor);
    const client = this.#nextClient++;
    this.#clients.set(client, thread);
    thread.connect(this.#o.id, client, descriptor);
  }

  /** Clients of one disk are spread: whoever opens several connections wants several threads. */
  #leastBusy(): NbdThread | undefined {
    const busy = new Map<NbdThread, number>();
    for (const thread of this.#o.threads) if (thread.isUp) busy.set(thread, 0);
    for (const thread of this.#clients.values()) busy.set(thread, (busy.get(thread) ?? 0) + 1);
    return [...busy].toSorted(([, a], [, b]) => a - b)[0]?.[0];
  }
}

function plainFailure(error: unknown): PlainFailure {
  const { code, message } = Failure.from(error);
  return { code, message };
}
