const nothing: Buffer = Buffer.alloc(0);

/**
 * Bytes that came and are not yet understood. Keeps what one `push` brought and the unfinished message before
 * it; whoever pushes must take all whole messages before he pushes again, or stop reading. What was pushed is lent
 * until `keep`.
 */
export class Inbox {
  #bytes = nothing;
  #at = 0;
  #skipping = 0;
  /** What lies here is a copy. */
  #kept = true;

  /** How many bytes lie here, without those to be skipped. */
  get bytes(): number {
    return this.#bytes.length - this.#at;
  }

  /** True in the middle of a message that is being skipped. */
  get skipping(): boolean {
    return this.#skipping > 0;
  }

  push(chunk: Buffer): void {
    const rest = this.#bytes.subarray(this.#at);
    this.#bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.#at = 0;
    this.#kept = rest.length > 0;
    if (this.#skipping > 0) this.skip(0);
  }

  /** Copies what still lies here, and lets go of the memory in which it came. */
  keep(): void {
    if (this.#kept) return;
    this.#bytes = this.bytes === 0 ? nothing : Buffer.from(this.view);
    this.#at = 0;
    this.#kept = true;
  }

  /** A view of the next `count` bytes, or nothing as long as they are not all there. */
  take(count: number): Buffer | undefined {
    if (this.#skipping > 0 || this.bytes < count) return undefined;
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** A view of all that lies here and is not to be skipped. */
  get view(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  /** Drops the next `count` bytes, also those that have yet to come. */
  skip(count: number): void {
    this.#skipping += count;
    const here = Math.min(this.#skipping, this.bytes);
    this.#at += here;
    this.#skipping -= here;
  }
}
