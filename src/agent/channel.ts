import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import { exchange, type GuestAnswer, type GuestRequest } from "./exchange.ts";
import type { OpenGuestBytes } from "./guest-bytes.ts";
import { isForFiles, Lanes } from "./lanes.ts";
import { watchSession } from "./session-watch.ts";
import { openTunnel } from "./tunnel.ts";
import { synchronise } from "./synchronise.ts";

/**
 * What a guest may make us keep: its unread answers fill at most `streamsMax` windows of `windowBytes` (128 MiB);
 * its headers are cut off at `headerBytesMax`.
 */
const streamsMax = 512;
const windowBytes = 256 * 1024;
const headerBytesMax = 64 * 1024;
const sessionMemoryMiB = 160;

export interface ChannelOptions {
  /** The Unix socket behind which the guest's port lies. */
  readonly path: string;
  /** The secret that the guest accepts now. */
  readonly secret: Buffer;
  /** The secret that the guest shall accept from this session on; may be the same. Keep it before connecting. */
  readonly nextSecret: Buffer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Gives the memory of the machine, for files to pass by; missing: they pass by the socket. */
  readonly guestBytes?: OpenGuestBytes;
}

/**
 * The stream of bytes between the daemon and the agent in one guest, carrying HTTP/2.
 * Everything that comes out of it was written by the guest, and is trusted with nothing.
 */
export class AgentChannel implements AsyncDisposable {
  /** Resolves when the channel has ended, for whatever reason. */
  readonly closed: Promise<void>;
  readonly #session: ClientHttp2Session;
  readonly #streams = new Set<ClientHttp2Stream>();
  readonly #lanes: Lanes | undefined;
  #reason: Failure | undefined;

  /** Resolves when the guest has answered. Repeats itself until then: the edges set the deadline. */
  static async connect(options: ChannelOptions, signal: AbortSignal): Promise<AgentChannel> {
    const socket = await openSocket(options.path, signal);
    try {
      const early = await synchronise(socket, options, signal);
      if (early.length > 0) socket.unshift(early);
      const channel = new AgentChannel(socket, options);
      // The session takes over what was read early in its next turn, and must not have been destroyed by then.
      await new Promise((resolve) => setImmediate(resolve));
      return channel;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  private constructor(socket: Socket, { logger, clock, guestBytes }: ChannelOptions) {
    this.#lanes = guestBytes && new Lanes(this.#open.bind(this), guestBytes);
    // Heard before the session hears it, which would let the answers under way end as if they were whole.
    socket.once("close", () => this.#cut());
    const session = connectHttp2("http://agent", {
      createConnection: () => socket,
      maxSessionMemory: sessionMemoryMiB,
      maxReservedRemoteStreams: 0,
      peerMaxConcurrentStreams: streamsMax,
      settings: { enablePush: false, initialWindowSize: windowBytes, maxHeaderListSize: headerBytesMax },
    });
    this.#session = session;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    session.on("error", (error) => {
      logger.debug({ error: error.message }, "the channel to a guest failed");
      this.#reason ??= new Failure("unavailable", "the channel to the guest failed", { cause: error });
    });
    const watch = watchSession(session, {
      clock,
      isAwaited: () => this.#streams.size > 0,
      onSilent: (reason) => this.destroy(reason),
    });
    session.on("close", () => {
      watch[Symbol.dispose]();
      socket.destroy();
      void (this.#lanes?.[Symbol.asyncDispose]() ?? Promise.resolve()).then(resolve, resolve);
    });
  }

  /** False as soon as nothing can be sent any more, which is a little before `closed` resolves. */
  get isOpen(): boolean {
    return !this.#session.destroyed && !this.#session.closed;
  }

  /**
   * Sends one request and resolves with the head of its answer. The body of the answer is to be read or destroyed;
   * it ends with an error when the guest, or `signal`, cuts it short. `signal` governs the whole exchange.
   */
  async request(request: GuestRequest, signal: AbortSignal): Promise<GuestAnswer> {
    if (this.#lanes !== undefined && isForFiles(request)) return await this.#lanes.request(request, signal);
    return await exchange(this.#open.bind(this), request, signal);
  }

  /** Connects to a TCP port in the guest. Throws `not_found` when nobody listens there. */
  async connectPort(port: number, signal: AbortSignal): Promise<Duplex> {
    return await openTunnel(this.#open.bind(this), port, signal);
  }

  /** Ends the channel and all that goes on over it; resolves when its socket is closed. */
  async close(): Promise<void> {
    this.destroy(new Failure("cancelled", "the channel to the guest was closed"));
    await this.closed;
  }

  destroy(reason: Error): void {
    this.#reason ??= Failure.from(reason);
    this.#cut();
    this.#session.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(headers: Record<string, string | string[]>, endStream: boolean): ClientHttp2Stream {
    if (!this.isOpen) throw this.#whyEnded();
    if (this.#streams.size >= streamsMax) {
      throw new Failure("exhausted", `${streamsMax} requests to this guest are under way already`);
    }
    const stream = this.#session.request(headers, { endStream });
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    return stream;
  }

  #cut(): void {
    for (const stream of [...this.#streams]) stream.destroy(this.#whyEnded());
  }

  #whyEnded(): Failure {
    return this.#reason ?? new Failure("unavailable", "the channel to the guest has ended");
  }
}

async function openSocket(path: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connectSocket({ path });
  socket.once("connect", resolve);
  socket.once("error", reject);
  try {
    await abortable(promise, signal);
    return socket;
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw Failure.from(error, `no channel at ${path}`);
  } finally {
    socket.on("error", () => {}); // From now on "close" says all there is to say.
  }
}
