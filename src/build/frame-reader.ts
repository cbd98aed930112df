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

  /** The next `bytes` bytes. Throws `corrupt` when the stream ends before that. */
  async take(bytes: number): Promise<Uint8Array> {
    const held = [this.#rest];
    let heldBytes = this.#rest.length;
    while (heldBytes < bytes) {
      const step = await this.#pieces.next();
      if (step.done === true) throw new Failure("corrupt", `${this.#name} ended too early`);
      held.push(step.value);
      heldBytes += step.value.length;
    }
    const all = held.length === 1 ? this.#rest : Buffer.concat(held, heldBytes);
    this.#rest = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  /** Ends the stream, read to its end or not. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}
