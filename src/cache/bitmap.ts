/** One bit a chunk, in shared memory, so that another thread may look without asking. */
export class Bitmap {
  readonly length: number;
  readonly words: Int32Array;

  constructor(length: number) {
    this.length = length;
    this.words = new Int32Array(new SharedArrayBuffer(4 * Math.max(1, Math.ceil(length / 32))));
  }

  has(index: number): boolean {
    return ((Atomics.load(this.words, index >> 5) >>> (index & 31)) & 1) === 1;
  }

  add(index: number): void {
    Atomics.or(this.words, index >> 5, 1 << (index & 31));
  }

  delete(index: number): void {
    Atomics.and(this.words, index >> 5, ~(1 << (index & 31)));
  }

  clear(): void {
    for (let word = 0; word < this.words.length; word++) Atomics.store(this.words, word, 0);
  }

  get isEmpty(): boolean {
    return this.words.every((word) => word === 0);
  }

  /** True when every bit from `first` to `last`, both included, is set. */
  hasAll(first: number, last: number): boolean {
    for (let index = first; index <= last; index++) if (!this.has(index)) return false;
    return true;
  }

  /** Numbers of the bits that are set, in order. */
  *[Symbol.iterator](): Iterator<number> {
    for (let index = 0; index < this.length; index++) if (this.has(index)) yield index;
  }
}
