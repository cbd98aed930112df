import type { DataRange } from "../../src/base/sparse-file.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";

const pageBytes = 4096;

/** A change of a file's content that may not have reached the platter. */
type Change =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: "punch"; readonly offset: number; readonly length: number }
  | { readonly kind: "resize"; readonly bytes: number };

/** What a file holds, in pages; a page that is not there is a hole. A page never changes: another takes its place. */
class Content {
  pages = new Map<number, Buffer>();
  bytes = 0;

  /** `other` has the same content from now on. */
  copyTo(other: Content): void {
    other.pages = new Map(this.pages);
    other.bytes = this.bytes;
  }

  apply(change: Change): void {
    if (change.kind === "resize") this.#resize(change.bytes);
    else if (change.kind === "punch")
      this.#each(change.offset, change.length, (page, from, to) => this.#zero(page, from, to));
    else {
      this.bytes = Math.max(this.bytes, change.offset + change.bytes.length);
      this.#each(change.offset, change.bytes.length, (page, from, to) => {
        const start = page * pageBytes + from - change.offset;
        const bytes = change.bytes.subarray(start, start + to - from);
        this.pages.set(page, bytes.length === pageBytes ? bytes : this.#changed(page, bytes, from));
      });
    }
  }

  read(into: Uint8Array, offset: number): number {
    const length = Math.max(0, Math.min(into.length, this.bytes - offset));
    this.#each(offset, length, (page, from, to) => {
      const at = page * pageBytes + from - offset;
      const buffer = this.pages.get(page);
      if (buffer === undefined) into.fill(0, at, at + to - from);
      else into.set(buffer.subarray(from, to), at);
    });
    return length;
  }

  #changed(page: number, bytes: Uint8Array, at: number): Buffer {
    const before = this.pages.get(page);
    const after = before === undefined ? Buffer.alloc(pageBytes) : Buffer.from(before);
    after.set(bytes, at);
    return after;
  }

  #resize(bytes: number): void {
    if (bytes < this.bytes)
      this.#each(bytes, this.bytes - bytes, (page, from, to) => this.#zero(page, from, to));
    this.bytes = bytes;
  }

  #zero(page: number, from: number, to: number): void {
    if (from === 0 && (to === pageBytes || page * pageBytes + to >= this.bytes)) this.pages.delete(page);
    else if (this.pages.has(page)) this.pages.set(page, this.#changed(page, Buffer.alloc(to - from), from));
  }

  #each(offset: number, length: number, visit: (page: number, from: number, to: number) => void): void {
    for (let at = offset; at < offset + length; ) {
      const page = Math.floor(at / pageBytes);
      const end = Math.min(offset + length, (page + 1) * pageBytes);
      visit(page, at - page * pageBytes, end - page * pageBytes);
      at = end;
    }
  }
}

/** A file of which the last changes may be lost, or half done, at a crash. */
export class SimulatedFile {
  readonly #now = new Content();
  readonly #durable = new Content();
  #unsynced: Change[] = [];

  get bytes(): number {
    return this.#now.bytes;
  }

  /** Bytes that the file takes up. */
  get allocatedBytes(): number {
    return this.#now.pages.size * pageBytes;
  }

  change(change: Change): void {
    this.#now.apply(change);
    this.#unsynced.push(change);
  }

  read(into: Uint8Array, offset: number): number {
    return this.#now.read(into, offset);
  }

  sync(): void {
    if (this.#unsynced.length > 0) this.#now.copyTo(this.#durable);
    this.#unsynced = [];
  }

  /** A byte comes back changed from now on. */
  rot(offset: number): void {
    const byte = Buffer.alloc(1);
    this.#now.read(byte, offset);
    const bytes = Buffer.of((byte[0] ?? 0) ^ 0x10);
    for (const content of [this.#now, this.#durable]) content.apply({ kind: "write", offset, bytes });
  }

  dataRanges(bytes: number): DataRange[] {
    return [...this.#now.pages.keys()]
      .sort((a, b) => a - b)
      .map((page) => ({ offset: page * pageBytes, length: Math.min(pageBytes, bytes - page * pageBytes) }))
      .filter(({ length }) => length > 0);
  }

  /** What is left of it: each change that was not synced has happened, has not, or has in part. */
  crashed(random: SeededRandom): SimulatedFile {
    const left = new SimulatedFile();
    for (const change of this.#unsynced) {
      const fate = random.below(3);
      if (fate === 0) continue;
      if (fate === 1 && change.kind === "write") {
        const bytes = change.bytes.subarray(0, random.below(change.bytes.length));
        this.#durable.apply({ ...change, bytes });
      } else this.#durable.apply(change);
    }
    for (const content of [left.#now, left.#durable]) this.#durable.copyTo(content);
    return left;
  }
}
