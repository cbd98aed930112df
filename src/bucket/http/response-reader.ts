import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import type { SlabPool } from "../../base/slab-pool.ts";
import { BodyMemory } from "./body-memory.ts";
import { ChunkedDecoder } from "./chunked-decoder.ts";
import {
  framingOf,
  headBytesMax,
  keepsAlive,
  noHttp,
  parseHead,
  type ResponseHead,
} from "./response-head.ts";

type State = "head" | "body" | "end" | "failed";

/** Bytes that may lie here before somebody takes them; then the socket is not read for a while. */
const aheadBytesMax = 1024 * 1024;

export interface ReaderOptions {
  readonly method: string;
  readonly clock: Clock;
  /** `headBytesMax` of memory for heads and for bodies of unknown length. Nothing of it is handed out. */
  readonly scratch: Buffer;
  /** For the body. */
  readonly slabs: SlabPool;
  /** Longest time without a byte while somebody waits for one. */
  readonly stallMsMax: number;
  /** The answer is whole: nothing more will be read for it. */
  readonly onEnd: (reusable: boolean) => void;
  /** There is room again after `filled` answered false. */
  readonly onRoom: () => void;
  /** Nothing came for too long: whoever reads has been told. */
  readonly onStall: (failure: Failure) => void;
}

/**
 * Reads one answer. The socket asks `room` where the next bytes shall go and tells by `filled` how many came: those of
 * a body with a length go straight to the memory that the reader of the body gets, without a copy in between.
 *
 *   head ──▶ body ──▶ end          any ──▶ failed
 */
export class ResponseReader {
  readonly head: Promise<ResponseHead>;
  readonly #options: ReaderOptions;
  readonly #scratch: Buffer;
  readonly #body: BodyMemory;
  readonly #answered = Promise.withResolvers<ResponseHead>();
  #state: State = "head";
  #headFill = 0;
  #left = 0;
  #chunks: ChunkedDecoder | undefined;
  #untilClose = false;
  #keepsAlive = false;
  #stopped = false;
  #waiting: PromiseWithResolvers<Uint8Array | undefined> | undefined;
  #waitingSince = 0;
  #timer: Disposable | undefined;
  #failure: Error | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#scratch = options.scratch;
    this.#body = new BodyMemory(options.slabs);
    this.head = this.#answered.promise;
    this.head.catch(() => {}); // who sent the request may have failed before it asks for the answer
  }

  /** True once a byte of the answer has come. */
  get begun(): boolean {
    return this.#state === "body" || this.#state === "end" || this.#headFill > 0;
  }

  get ended(): boolean {
    return this.#state === "end";
  }

  /** Where the next bytes shall go; never more than belong to this answer, if that is known. */
  room(): Uint8Array {
    if (this.#state !== "body" || !this.#isCounted)
      return this.#scratch.subarray(this.#state === "head" ? this.#headFill : 0);
    return this.#body.room(this.#left);
  }

  /** So many bytes came to where `room` said. False: read no more until `onRoom`. */
  filled(bytes: number, place: Uint8Array): boolean {
    try {
      if (this.#state === "head") this.#takeHead(bytes);
      else if (this.#state === "body") this.#takeBody(place.subarray(0, bytes));
      else throw noHttp("it goes on after its end");
    } catch (error) {
      this.fail(error as Error);
      return false;
    }
    if (this.#body.bytes < aheadBytesMax || this.ended) return true;
    this.#stopped = true;
    return false;
  }

  /** The other side sends no more. */
  closed(): void {
    if (this.#state === "body" && this.#untilClose) this.#end();
    else this.fail(new Failure("unavailable", "the connection was closed before the answer was whole"));
  }

  fail(error: Error): void {
    if (this.#state === "end" || this.#state === "failed") return;
    this.#state = "failed";
    this.#failure = error;
    this.#answered.reject(error);
    this.#settle()?.reject(error);
    this.#unwatch();
  }

  /**
   * The next bytes of the body; undefined after the last ones. They are the caller's until it asks again: then their
   * memory is used anew. One caller at a time.
   */
  async next(): Promise<Uint8Array | undefined> {
    const piece = this.#body.take();
    if (piece !== undefined) {
      if (this.#stopped && this.#body.bytes < aheadBytesMax / 2) {
        this.#stopped = false;
        this.#options.onRoom();
      }
      return piece;
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#state === "end") return undefined;
    const waiting = Promise.withResolvers<Uint8Array | undefined>();
    this.#waiting = waiting;
    this.#waitingSince = this.#options.clock.monotonic();
    this.#timer ??= this.#watch(this.#options.stallMsMax);
    return waiting.promise;
  }

  /** One timer watches over many waits: it looks when the present one began, and comes back when that may be over. */
  #watch(ms: number): Disposable {
    const { clock, onStall, stallMsMax } = this.#options;
    return clock.after(ms, () => {
      this.#timer = undefined;
      if (this.#waiting === undefined) return;
      const left = this.#waitingSince + stallMsMax - clock.monotonic();
      if (left > 0) {
        this.#timer = this.#watch(left);
        return;
      }
      const failure = new Failure("unavailable", `the answer stalled for ${stallMsMax} ms`);
      this.fail(failure);
      onStall(failure);
    });
  }

  #takeHead(bytes: number): void {
    const from = Math.max(0, this.#headFill - 3);
    this.#headFill += bytes;
    const end = this.#scratch.subarray(0, this.#headFill).indexOf("\r\n\r\n", from);
    if (end < 0) {
      if (this.#headFill === headBytesMax) throw noHttp("its head is too long");
      return;
    }
    const head = parseHead(this.#scratch.toString("latin1", 0, end));
    // What came behind the head lies in memory that is used again: this part alone is copied.
    const rest = Buffer.from(this.#scratch.subarray(end + 4, this.#headFill));
    if (head.status < 200) {
      this.#headFill = 0; // an interim answer, such as 100: the real one follows
      this.#scratch.set(rest);
      if (rest.length > 0) this.#takeHead(rest.length);
      return;
    }
    this.#begin(head);
    if (rest.length > 0) this.filled(rest.length, rest);
  }

  #begin(head: ResponseHead): void {
    const framing = framingOf(head, this.#options.method);
    this.#keepsAlive = keepsAlive(head);
    this.#state = "body";
    if (framing.kind === "length") this.#left = framing.bytes;
    else if (framing.kind === "chunked") this.#chunks = new ChunkedDecoder();
    else this.#untilClose = true;
    this.#answered.resolve(head);
    if (framing.kind === "length" && framing.bytes === 0) this.#end();
  }

  #takeBody(piece: Uint8Array): void {
    if (this.#chunks !== undefined) {
      for (const data of this.#chunks.decode(piece)) this.#body.append(data);
    } else if (this.#untilClose) this.#body.append(piece);
    else {
      if (piece.length > this.#left) throw noHttp("it goes on after its end");
      const place = this.#body.room(this.#left);
      this.#left -= piece.length;
      if (piece.buffer === place.buffer && piece.byteOffset === place.byteOffset)
        this.#body.filled(piece.length);
      else this.#body.append(piece); // it came with the head
    }
    if (this.#waiting !== undefined && this.#body.bytes > 0) this.#settle()?.resolve(this.#body.take());
    if (this.#chunks?.done === true || (this.#left === 0 && this.#isCounted)) this.#end();
  }

  /** The length of the body is known. */
  get #isCounted(): boolean {
    return this.#chunks === undefined && !this.#untilClose;
  }

  #end(): void {
    this.#state = "end";
    this.#settle()?.resolve(undefined);
    this.#unwatch();
    this.#options.onEnd(this.#keepsAlive && !this.#untilClose);
  }

  #unwatch(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #settle(): PromiseWithResolvers<Uint8Array | undefined> | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
