import type { Clock } from "../../base/clock.ts";
import { chunkBytes } from "../../build/artifact.ts";
import { errno } from "../fuse-protocol.ts";
import { encodeReply } from "../fuse-reply.ts";
import type { FileRead } from "../one-file.ts";
import type { FaultNews } from "../wire.ts";
import type { ChunkStore } from "./chunk-store.ts";

/** Those who wait for reads, as the system knows them. */
export interface Waiters {
  /** Ends the process at once; false when it may not be ended. */
  end(thread: number): boolean;
  /** It has ended, or is bound to before it could see any answer. */
  isEnding(thread: number): boolean;
  /** The process of a thread. */
  processOf(thread: number): number;
}

export interface FaultsOptions {
  readonly store: Pick<ChunkStore, "now" | "bytes">;
  readonly reply: (reply: Buffer) => void;
  /** A chunk is read for the first time. */
  readonly onTouch: (chunk: number) => void;
  readonly tell: (chunk: number, news: FaultNews) => void;
  readonly waiters: Waiters;
  readonly clock: Clock;
  /** After this a read counts as stalled. */
  readonly stalledMs: number;
  /** After this whoever waits is ended. */
  readonly withheldMsMax: number;
}

/** How often those who wait are looked at. */
const lookEveryMs = 100;

interface Fault {
  readonly read: FileRead;
  readonly chunk: number;
  readonly since: number;
  stalled: boolean;
}

/**
 * Reads of the file by machines: answered as soon as their bytes are there, with those bytes or not at all. Who has
 * waited too long is ended before an error is answered, and so never sees one.
 */
export class Faults {
  readonly #options: FaultsOptions;
  readonly #waiting = new Set<Fault>();
  readonly #touched = new Set<number>();
  #timer: Disposable | undefined;

  constructor(options: FaultsOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  take(read: FileRead): void {
    const { store } = this.#options;
    const chunks = chunksOf(read);
    for (const chunk of chunks) this.#touch(chunk);
    const pieces = chunks.map((chunk) => store.now(chunk));
    if (pieces.every((piece) => piece !== undefined)) return this.#answer(read, pieces);
    const { clock } = this.#options;
    const fault: Fault = { read, chunk: chunks[0] ?? 0, since: clock.monotonic(), stalled: false };
    this.#waiting.add(fault);
    if (this.#timer === undefined) this.#lookLater();
    void Promise.all(chunks.map((chunk) => store.bytes(chunk))).then((all) => {
      if (!this.#waiting.delete(fault)) return; // it was given up
      this.#answer(read, all);
      if (fault.stalled) this.#tell(fault, "answered");
    });
  }

  #touch(chunk: number): void {
    if (this.#touched.has(chunk)) return;
    this.#touched.add(chunk);
    this.#options.onTouch(chunk);
  }

  #answer({ unique, offset, bytes }: FileRead, pieces: readonly Uint8Array[]): void {
    const body = Buffer.allocUnsafe(bytes);
    let done = 0;
    for (const piece of pieces) {
      const from = (offset + done) % chunkBytes;
      const part = piece.subarray(from, from + bytes - done);
      body.set(part, done);
      done += part.length;
    }
    this.#options.reply(encodeReply(unique, 0, body));
  }

  #look(): void {
    this.#timer = undefined;
    for (const fault of this.#waiting) this.#judge(fault);
    if (this.#waiting.size > 0) this.#lookLater();
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.after(lookEveryMs, () => this.#look());
  }

  #judge(fault: Fault): void {
    const { clock, stalledMs, waiters, withheldMsMax } = this.#options;
    const { thread } = fault.read;
    if (waiters.isEnding(thread)) return this.#giveUp(fault);
    const waited = clock.monotonic() - fault.since;
    if (waited >= stalledMs && !fault.stalled) {
      fault.stalled = true;
      this.#tell(fault, "stalled");
    }
    if (waited < withheldMsMax) return;
    // Who cannot be ended goes on waiting. Until it is answered it cannot leave: its number is nobody else's.
    if (!waiters.end(thread)) return;
    this.#tell(fault, "ended");
    this.#giveUp(fault);
  }

  #giveUp(fault: Fault): void {
    this.#waiting.delete(fault);
    this.#options.reply(encodeReply(fault.read.unique, errno.io));
  }

  #tell({ chunk, read, since }: Fault, what: FaultNews["what"]): void {
    const { clock, tell, waiters } = this.#options;
    const waitedMs = Math.round(clock.monotonic() - since);
    tell(chunk, { pid: waiters.processOf(read.thread), what, waitedMs });
  }
}

function chunksOf({ offset, bytes }: FileRead): number[] {
  const first = Math.floor(offset / chunkBytes);
  const last = Math.floor((offset + bytes - 1) / chunkBytes);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
