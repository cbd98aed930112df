import type { Duplex } from "node:stream";
import type { BlockDevice } from "../base/block-device.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { type Agreement, greeting, negotiate, type Terms } from "./handshake.ts";
import { Inbox } from "./inbox.ts";
import type { NbdLimits } from "./limits.ts";
import { optionName, parseClientFlags, parseOptionHeader } from "./option.ts";
import type { Offer } from "./option-reply.ts";
import { Outbox } from "./outbox.ts";
import { command, wireBytes } from "./protocol.ts";
import { parseRequest } from "./request.ts";
import { type Sink, StreamSink } from "./sink.ts";
import type { SlabPool } from "../base/slab-pool.ts";
import { Transmission } from "./transmission.ts";

export interface ConnectionOptions {
  readonly socket: Duplex;
  /** Where replies go, if not to the socket's stream. */
  readonly sink?: Sink;
  readonly device: BlockDevice;
  readonly offer: Offer;
  readonly clock: Clock;
  readonly limits: NbdLimits;
  readonly slabs: SlabPool;
  readonly logger: Logger;
  readonly meter: Meter;
}

/**
 * What is expected from the client next.
 *
 *   flags ──▶ option header ◀──▶ option payload ──GO, EXPORT_NAME──▶ request
 *     │             │                  │                                │
 *     └─────────────┴── nonsense, too late, ABORT, DISC, close() ───────┘
 *                                      ▼
 *                 leaving ──reads settled, replies taken or out of time──▶ socket destroyed
 */
type State =
  | { readonly name: "flags" }
  | { readonly name: "option header"; readonly agreement: Agreement; readonly optionsLeft: number }
  | {
      readonly name: "option payload";
      readonly agreement: Agreement;
      readonly optionsLeft: number;
      readonly id: number;
      readonly bytes: number;
    }
  | { readonly name: "request"; readonly transmission: Transmission }
  | { readonly name: "leaving" };

/** One client. Owns its socket from the first byte to the last. */
export class Connection {
  /** Resolves when the socket is closed and no read is with the device any more. */
  readonly closed: Promise<void>;
  readonly #o: ConnectionOptions;
  readonly #inbox = new Inbox();
  readonly #sink: Sink;
  readonly #outbox: Outbox;
  readonly #abandoned = new AbortController();
  readonly #handshakeTimer: Disposable;
  #transmission: Transmission | undefined;
  #state: State = { name: "flags" };

  constructor(options: ConnectionOptions) {
    this.#o = options;
    const { clock, limits, slabs, socket } = options;
    this.#sink = options.sink ?? new StreamSink(socket);
    this.#outbox = new Outbox(this.#sink, slabs, () => this.#goOn());
    this.#handshakeTimer = clock.after(limits.handshakeTimeoutMs, () =>
      this.#hangUp(new Failure("unavailable", `no request after ${limits.handshakeTimeoutMs} ms`)),
    );
    this.closed = this.#untilClosed();
    socket.on("error", (error) => options.logger.debug({ err: error }, "NBD client broke off"));
    socket.on("end", () => this.#ended());
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    this.#outbox.send(greeting());
  }

  /** Takes what came from the client. The memory is lent: what has to wait is copied. */
  receive(bytes: Buffer): void {
    this.#inbox.push(bytes);
    this.#understand();
    this.#inbox.keep();
  }

  /** Reads no further request, answers those that are under way, hangs up. */
  async close(): Promise<void> {
    this.#leave();
    await this.closed;
  }

  /** Hangs up at once; what was under way is given up. */
  destroy(reason: Error): void {
    this.#state = { name: "leaving" };
    this.#abandoned.abort(reason);
    this.#o.socket.destroy();
  }

  async #untilClosed(): Promise<void> {
    await new Promise<void>((resolve) => this.#o.socket.once("close", () => resolve()));
    this.#handshakeTimer[Symbol.dispose]();
    this.destroy(new Failure("cancelled", "the NBD client has gone"));
    await this.#transmission?.settled();
  }

  /** Takes all whole messages that are there and that there is room for. */
  #understand(): void {
    try {
      while (this.#takeSimple() || this.#step());
    } catch (error) {
      this.#hangUp(Failure.from(error));
    }
    this.#transmission?.flush();
  }

  /** Takes the simple reads that come next; false when there are none. */
  #takeSimple(): boolean {
    if (this.#state.name !== "request" || this.#inbox.skipping) return false;
    const done = this.#state.transmission.serveSimple(this.#inbox.view);
    this.#inbox.skip(done);
    return done > 0;
  }

  /** Takes one message; false when there is none that could be taken now. */
  #step(): boolean {
    const state = this.#state;
    switch (state.name) {
      case "flags":
        return this.#take(wireBytes.clientFlags, (bytes) => {
          const agreement = { ...parseClientFlags(bytes), structured: false };
          this.#state = { name: "option header", agreement, optionsLeft: this.#o.limits.optionsMax };
        });
      case "option header":
        return this.#take(wireBytes.optionHeader, (bytes) => this.#optionHeader(bytes, state));
      case "option payload":
        return this.#take(state.bytes, (payload) => this.#option(payload, state));
      case "request":
        if (state.transmission.hasRoom) {
          return this.#take(wireBytes.request, (bytes) => this.#request(bytes, state.transmission));
        }
        this.#o.socket.pause();
        return false;
      case "leaving":
        return false;
    }
  }

  #take(count: number, then: (bytes: Buffer) => void): boolean {
    const bytes = this.#inbox.take(count);
    if (bytes === undefined) return false;
    then(bytes);
    return true;
  }

  #optionHeader(message: Buffer, state: State & { name: "option header" }): void {
    const { id, bytes } = parseOptionHeader(message);
    const { optionBytesMax, optionsMax } = this.#o.limits;
    if (state.optionsLeft === 0) throw new Failure("invalid", `more than ${optionsMax} options`);
    if (bytes > optionBytesMax) {
      throw new Failure("invalid", `${optionName(id)}: ${bytes} bytes, ${optionBytesMax} are allowed`);
    }
    this.#state = { ...state, name: "option payload", optionsLeft: state.optionsLeft - 1, id, bytes };
  }

  #option(payload: Buffer, state: State & { name: "option payload" }): void {
    const turn = negotiate(state.agreement, state.id, payload, this.#o.offer);
    this.#outbox.send(turn.answer);
    if (turn.next === "options") {
      this.#state = { name: "option header", agreement: turn.agreement, optionsLeft: state.optionsLeft };
    } else if (turn.next === "transmission") {
      this.#beginTransmission(turn.terms);
    } else if (turn.complaint === undefined) {
      this.#leave();
    } else {
      this.#hangUp(new Failure("invalid", turn.complaint));
    }
  }

  #beginTransmission(terms: Terms): void {
    this.#handshakeTimer[Symbol.dispose]();
    const { signal } = this.#abandoned;
    this.#transmission = new Transmission({ ...this.#o, terms, outbox: this.#outbox, signal });
    this.#state = { name: "request", transmission: this.#transmission };
  }

  #request(message: Buffer, transmission: Transmission): void {
    const request = parseRequest(message);
    if (request.command === command.disconnect) return this.#leave();
    if (request.command === command.write) {
      const { requestBytesMax } = this.#o.limits;
      if (request.bytes > requestBytesMax) {
        throw new Failure("invalid", `a write of ${request.bytes} bytes, ${requestBytesMax} are allowed`);
      }
      this.#inbox.skip(request.bytes);
    }
    transmission.serve(request);
  }

  /** There may be room again: whatever took room ends with a reply, and this is called when one was taken. */
  #goOn(): void {
    if (!this.#o.socket.isPaused() || this.#state.name !== "request") return;
    this.#understand();
    if (this.#state.name === "request" && this.#state.transmission.hasRoom) this.#o.socket.resume();
  }

  /** The client sends nothing more: it has gone, whether it said so or not. */
  #ended(): void {
    const { name } = this.#state;
    if (name === "leaving") return;
    const midway = this.#inbox.bytes > 0 || this.#inbox.skipping || name === "option payload";
    if (midway) this.#complain(new Failure("invalid", `the connection ended within a message (${name})`));
    this.destroy(new Failure("cancelled", "the NBD client has gone"));
  }

  /** Ends the connection of a client that cannot be understood, or that came too late. */
  #hangUp(failure: Failure): void {
    if (this.#state.name === "leaving") return;
    this.#complain(failure);
    this.#abandoned.abort(failure);
    this.#leave();
  }

  #complain(failure: Failure): void {
    const facts = { expected: this.#state.name, code: failure.code };
    if (failure.code === "internal")
      this.#o.logger.error({ ...facts, err: failure }, "NBD client hung up on");
    else this.#o.logger.warn({ ...facts, why: failure.message }, "NBD client hung up on");
  }

  #leave(): void {
    if (this.#state.name === "leaving") return;
    this.#state = { name: "leaving" };
    this.#handshakeTimer[Symbol.dispose]();
    this.#o.socket.pause();
    void this.#sayGoodbye();
  }

  /** Ends the socket when the last reply was taken, or destroys it when the client takes none. */
  async #sayGoodbye(): Promise<void> {
    const { clock, limits, socket } = this.#o;
    await this.#transmission?.settled();
    this.#transmission?.flush();
    using _timer = clock.after(limits.drainTimeoutMs, () => socket.destroy());
    await this.#sink.idle();
    socket.end(() => socket.destroy());
    await this.closed;
  }
}
