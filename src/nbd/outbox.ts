import type { FilePart, Sink } from "./sink.ts";
import type { SlabPool } from "../base/slab-pool.ts";

/**
 * Replies on their way to a client. Small ones that are ready together lie side by side in one slab and leave in
 * one write. Counts every byte from its carving until the kernel has taken it.
 */
export class Outbox {
  readonly #sink: Sink;
  readonly #slabs: SlabPool;
  readonly #onTaken: () => void;
  #slab: Buffer | undefined;
  #used = 0;
  #bytes = 0;

  /** `onTaken` is called whenever the kernel took something. */
  constructor(sink: Sink, slabs: SlabPool, onTaken: () => void) {
    this.#sink = sink;
    this.#slabs = slabs;
    this.#onTaken = onTaken;
  }

  /** Bytes that were carved or sent and not yet taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Room for one reply, to be filled before the next call of anything here; leaves with the next `flush`. */
  carve(bytes: number): Buffer {
    if (this.#slab === undefined || this.#used + bytes > this.#slab.length) {
      this.flush();
      this.#slab = bytes > this.#slabs.slabBytes ? Buffer.allocUnsafeSlow(bytes) : this.#slabs.take();
    }
    this.#used += bytes;
    this.#bytes += bytes;
    return this.#slab.subarray(this.#used - bytes, this.#used);
  }

  /** Takes back the last carving, of that many bytes. */
  uncarve(bytes: number): void {
    this.#used -= bytes;
    this.#bytes -= bytes;
  }

  /** Adds a short reply, in its turn among the carved ones; leaves with the next `flush`. */
  append(reply: Buffer): void {
    reply.copy(this.carve(reply.length));
  }

  /** Sends a reply that lies in a buffer of its own; those of one turn of the loop leave in one write. */
  send(reply: Buffer): void {
    this.#bytes += reply.length;
    this.#sink.gather();
    this.#write(reply, () => {});
  }

  /** True when stretches of files can be sent as they lie. */
  get takesFiles(): boolean {
    return this.#sink.writeFile !== undefined;
  }

  /** Sends what was carved, and a stretch of a file behind it. */
  sendFile(part: FilePart): void {
    this.flush();
    this.#bytes += part.bytes;
    this.#sink.writeFile?.(part, () => {
      this.#bytes -= part.bytes;
      this.#onTaken();
    });
  }

  /** Sends what was carved. */
  flush(): void {
    const slab = this.#slab;
    const used = this.#used;
    this.#slab = undefined;
    this.#used = 0;
    if (slab === undefined) return;
    const giveBack = () => {
      if (slab.length === this.#slabs.slabBytes) this.#slabs.give(slab);
    };
    if (used === 0) giveBack();
    else this.#write(slab.subarray(0, used), giveBack);
  }

  /** A write to a socket that has gone is called back too, with an error that the socket's owner learns by himself. */
  #write(bytes: Buffer, after: () => void): void {
    this.#sink.write(bytes, () => {
      this.#bytes -= bytes.length;
      after();
      this.#onTaken();
    });
  }
}
