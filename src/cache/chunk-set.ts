/** A set of chunk numbers that grows as it must: one bit a chunk. */
export class ChunkSet implements Iterable<number> {
  #words = new Uint32Array(8);
  #size = 0;

  constructor(chunks: Iterable<number> = []) {
    for (const chunk of chunks) this.add(chunk);
  }

  get size(): number {
    return this.#size;
  }

  has(chunk: number): boolean {
    return (((this.#words[chunk >>> 5] ?? 0) >>> (chunk & 31)) & 1) === 1;
  }

  add(chunk: number): void {
    if (this.has(chunk)) return;
    const word = chunk >>> 5;
    if (word >= this.#words.length) {
      const grown = new Uint32Array(Math.max(word + 1, 2 * this.#words.length));
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#words[word] = (this.#words[word] ?? 0) | (1 << (chunk & 31));
    this.#size += 1;
  }

  delete(chunk: number): void {
    if (!this.has(chunk)) return;
    const word = chunk >>> 5;
    this.#words[word] = (this.#words[word] ?? 0) & ~(1 << (chunk & 31));
    this.#size -= 1;
  }

  /** In ascending order. */
  *[Symbol.iterator](): Iterator<number> {
    for (let word = 0; word < this.#words.length; word++) {
      if (this.#words[word] === 0) continue;
      for (let chunk = word * 32; chunk < word * 32 + 32; chunk++) if (this.has(chunk)) yield chunk;
    }
  }

  /** As pairs of first chunk and count. */
  ranges(): [number, number][] {
    return rangesOf(this);
  }
}

/** Ascending chunk numbers as pairs of first and count. */
function rangesOf(chunks: Iterable<number>): [number, number][] {
  const ranges: [number, number][] = [];
  for (const chunk of chunks) {
    const last = ranges.at(-1);
    if (last !== undefined && last[0] + last[1] === chunk) last[1] += 1;
    else ranges.push([chunk, 1]);
  }
  return ranges;
}
