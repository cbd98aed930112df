import { Failure } from "../base/failure.ts";

/** Cuts a stream of pieces into frames of given sizes. Holds no more than a frame and the piece it ends in. */
export class FrameReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #name: string;
  #rest: Uint8Array = new Uint8Array(0);

  /** `name` is what the stream is called in the sentence of a failure. */
  constructor(pieces: AsyncIterable<Uint8Array>, name: string) {
    this.#name = name;
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** The next `bytes` bytes, the caller's until it takes more. Throws `corrupt` when the stream ends before that. */
  async take(bytes: number): Promise<Uint8Array> {
    if (this.#rest.length >= bytes) return this.#cut(bytes);
    const frame = Buffer.allocUnsafe(bytes);
    for (let at = 0; ; ) {
      const part = this.#cut(Math.min(bytes - at, this.#rest.length));
      frame.set(part, at);
      at += part.length;
      if (at === bytes) return frame;
      const step = await this.#pieces.next();
      if (step.done === true) throw new Failure("corrupt", `${this.#name} ended too early`);
      this.#rest = step.value;
    }
  }

  #cut(bytes: number): Uint8Array {
    const part = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(bytes);
    return part;
  }

  /** Ends the stream, read to its end or not. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}
