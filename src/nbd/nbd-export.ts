import { createServer, type Server, type Socket } from "node:net";
import type { BlockDevice } from "../base/block-device.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { Connection } from "./connection.ts";
import { defaultLimits, type NbdLimits } from "./limits.ts";
import { listenUnix } from "./listen-unix.ts";
import type { Offer } from "./option-reply.ts";
import { SlabPool } from "../base/slab-pool.ts";

export interface NbdExportOptions {
  /** Where the Unix socket is made. */
  readonly path: string;
  readonly device: BlockDevice;
  /** Clients may ask for this name or for none. */
  readonly name?: string;
  readonly description?: string;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly clock?: Clock;
  /** Permissions of the socket; who may write to it may connect. */
  readonly mode?: number;
  readonly limits?: Partial<NbdLimits>;
  /** Buffers to share with other exports of this thread. */
  readonly slabs?: SlabPool;
}

/** A block device, offered read-only over NBD on a Unix socket, to any number of clients at once. */
export class NbdExport implements AsyncDisposable {
  readonly #options: NbdExportOptions;
  readonly #limits: NbdLimits;
  readonly #slabs: SlabPool;
  readonly #server: Server;
  readonly #clients = new Set<Connection>();
  #closing: Promise<void> | undefined;

  /** Resolves when clients may connect. Throws `invalid` or `conflict` for a path that cannot be listened at. */
  static async listen(options: NbdExportOptions): Promise<NbdExport> {
    const nbdExport = new NbdExport(options);
    try {
      await listenUnix(nbdExport.#server, options.path, options.mode ?? 0o600);
    } catch (error) {
      await nbdExport.close();
      throw error;
    }
    return nbdExport;
  }

  private constructor(options: NbdExportOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#slabs = options.slabs ?? new SlabPool();
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#welcome(socket));
    this.#server.on("error", (error) => {
      // Before it listens, whoever wants it to is told.
      if (this.#server.listening) options.logger.error({ err: error }, "NBD export cannot accept");
    });
  }

  /** How many clients are connected, those included that are being hung up on. */
  get connections(): number {
    return this.#clients.size;
  }

  /** Takes no more requests, answers those under way, and resolves when nothing of the export is open. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Hangs up at once and aborts reads under way. `close` still waits until the device has let go of them. */
  destroy(reason: Error): void {
    for (const client of this.#clients) client.destroy(reason);
    void this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.all([...this.#clients].map((client) => client.close()));
    await closed;
  }

  #welcome(socket: Socket): void {
    const { clock = systemClock, description = "", device, logger, meter, name = "" } = this.#options;
    const { connectionsMax, requestBytesMax } = this.#limits;
    if (this.#clients.size >= connectionsMax) {
      logger.warn({ connectionsMax }, "NBD client hung up on: too many are connected");
      socket.destroy();
      return;
    }
    const offer: Offer = { name, description, bytes: device.bytes, requestBytesMax };
    const common = { clock, device, logger, meter, limits: this.#limits, slabs: this.#slabs };
    const client = new Connection({ ...common, socket, offer });
    this.#clients.add(client);
    void client.closed.then(() => this.#clients.delete(client));
  }
}
