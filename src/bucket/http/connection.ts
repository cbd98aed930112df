import type { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { deadline } from "../../base/deadline.ts";
import type { SlabPool } from "../../base/slab-pool.ts";
import { Failure } from "../../base/failure.ts";
import { abortable } from "../../base/abortable.ts";
import { encodeHead, type HttpLimits, type HttpRequest, type RequestBody } from "./http-message.ts";
import { connectTo, type Origin } from "./origin.ts";
import { headBytesMax, type ResponseHead } from "./response-head.ts";
import { ResponseReader } from "./response-reader.ts";

/** Each read leaves some bytes of book-keeping in Node until the socket is closed: so many reads, then another one. */
const readsMax = 50_000;

/** An answer under way: its head, and a reader of its body. */
export interface Exchange {
  readonly head: ResponseHead;
  readonly reader: ResponseReader;
}

export interface ConnectionOptions {
  readonly origin: Origin;
  readonly limits: HttpLimits;
  readonly clock: Clock;
  /** For the bodies of answers; shared by all connections. */
  readonly slabs: SlabPool;
  /** A session to resume, and who keeps the next one. */
  readonly session: Buffer | undefined;
  readonly onSession: (session: Buffer) => void;
  /** The answer was read to its end and another request may be sent. */
  readonly onIdle: (connection: Connection) => void;
  /** The socket is closed. */
  readonly onClose: (connection: Connection) => void;
}

/**
 * One connection, for one request at a time.
 *
 *   open ──▶ idle ──▶ busy ──▶ idle … ──▶ closed
 *                       └──(broken, left, `close`)──▶ closed
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #scratch = Buffer.allocUnsafe(headBytesMax);
  readonly #closed = Promise.withResolvers<void>();
  #place: Uint8Array = this.#scratch;
  #reader: ResponseReader | undefined;
  #reads = 0;
  /** Bytes of the body that the socket was not yet given. */
  #unsent = 0;
  #exchanges = 0;
  #error: Error | undefined;
  #brokeBeforeAnswer = false;

  /** Begins to connect: wait for `ready`. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    const onread = {
      buffer: () => this.#nextPlace(),
      callback: (bytes: number) => this.#received(bytes),
    };
    this.#socket = connectTo(options.origin, onread, options.session);
    this.#socket.on("error", (error) => this.#broken(error));
    this.#socket.on("end", () => this.#ended());
    this.#socket.on("close", () => this.#gone());
    this.#socket.on("session", options.onSession);
  }

  /** Resolves when a request may be sent. */
  async ready(signal: AbortSignal): Promise<void> {
    const { clock, limits, origin } = this.#options;
    using limit = deadline(clock, limits.connectMsMax, `connecting to ${origin.host}`, signal);
    try {
      await abortable(this.#connected(), limit.signal);
    } catch (error) {
      this.destroy(error as Error);
      throw signal.aborted ? signal.reason : unavailable(error, `${origin.host} could not be reached`);
    }
  }

  /** True for a connection that had been used before and broke without a byte of the next answer. */
  get brokeBeforeAnswer(): boolean {
    return this.#brokeBeforeAnswer;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#error === undefined;
  }

  /** Resolves when the socket is closed. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Sends a request and gives the answer as soon as its head is there. Whoever leaves early calls `destroy`. */
  async exchange(request: HttpRequest, signal: AbortSignal): Promise<Exchange> {
    const { clock, limits } = this.#options;
    const reader = new ResponseReader({
      ...{ method: request.method, clock, scratch: this.#scratch, stallMsMax: limits.stallMsMax },
      slabs: this.#options.slabs,
      onEnd: (reusable) => this.#answered(reusable),
      onRoom: () => void this.#socket.resume(),
      onStall: (failure) => this.destroy(failure),
    });
    this.#reader = reader;
    this.#socket.ref();
    const onAbort = () => this.destroy(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      this.#socket.write(encodeHead(request), "latin1");
      if (request.body !== undefined) await this.#sendBody(request.body, reader, signal);
      using _limit = clock.after(request.answerMsMax, () =>
        this.destroy(new Failure("unavailable", `no answer came within ${request.answerMsMax} ms`)),
      );
      return { head: await reader.head, reader };
    } catch (error) {
      this.destroy(error as Error);
      throw signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Closes at once; whoever reads is told `reason`. */
  destroy(reason: Error): void {
    this.#error ??= reason;
    this.#reader?.fail(reason);
    this.#socket.destroy();
  }

  #connected(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once(this.#options.origin.secure ? "secureConnect" : "connect", resolve);
      this.#socket.once("error", reject);
      this.#socket.once("close", () => reject(this.#error ?? new Error("closed")));
    });
  }

  /** Sends no faster than it is taken, and stops when the answer is there before that: most likely a refusal. */
  async #sendBody(body: RequestBody, reader: ResponseReader, signal: AbortSignal): Promise<void> {
    this.#unsent = body.bytes;
    for await (const piece of body.pieces(signal)) {
      if (reader.begun) return;
      this.#unsent -= piece.length;
      if (!this.#socket.write(piece)) await this.#drained(reader);
    }
  }

  async #drained(reader: ResponseReader): Promise<void> {
    const { clock, limits } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = this.#socket.bytesWritten - this.#socket.writableLength;
    const watch = (): Disposable =>
      clock.after(limits.stallMsMax, () => {
        const now = this.#socket.bytesWritten - this.#socket.writableLength;
        if (now > left) timer = watch();
        else this.destroy(new Failure("unavailable", `sending stalled for ${limits.stallMsMax} ms`));
        left = now;
      });
    let timer = watch();
    this.#socket.once("drain", resolve);
    this.#socket.once("close", resolve);
    reader.head.then(
      () => resolve(),
      () => resolve(),
    );
    try {
      await promise;
    } finally {
      timer[Symbol.dispose]();
      this.#socket.off("drain", resolve);
      this.#socket.off("close", resolve);
    }
    if (this.#error !== undefined && !reader.begun) throw this.#error;
  }

  #nextPlace(): Uint8Array {
    this.#place = this.#reader?.room() ?? this.#scratch;
    return this.#place;
  }

  #received(bytes: number): boolean {
    this.#reads += 1;
    if (this.#reader !== undefined) return this.#reader.filled(bytes, this.#place);
    this.destroy(new Failure("unavailable", "an answer came that nobody had asked for"));
    return true;
  }

  #answered(reusable: boolean): void {
    this.#reader = undefined;
    this.#exchanges += 1;
    const isSent = this.#unsent === 0 && this.#socket.writableLength === 0;
    if (!reusable || !isSent || this.#reads >= readsMax)
      return this.destroy(new Failure("unavailable", "the connection was used up"));
    this.#socket.unref();
    this.#options.onIdle(this);
  }

  #ended(): void {
    this.#reader?.closed();
    this.#break(new Failure("unavailable", "the other side closed the connection"));
  }

  #broken(error: Error): void {
    this.#break(unavailable(error, "the connection broke"));
  }

  #break(failure: Failure): void {
    this.#brokeBeforeAnswer = this.#exchanges > 0 && this.#reader !== undefined && !this.#reader.begun;
    this.destroy(failure);
  }

  #gone(): void {
    this.#reader?.closed();
    this.#error ??= new Failure("unavailable", "the connection was closed");
    this.#options.onClose(this);
    this.#closed.resolve();
  }
}

/** Whatever the network says, it may be better in a moment. */
function unavailable(error: unknown, message: string): Failure {
  if (error instanceof Failure) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return new Failure("unavailable", code === undefined ? message : `${message} (${code})`, { cause: error });
}
