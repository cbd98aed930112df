import { readSync } from "node:fs";
import type { Extent } from "../base/block-device.ts";
import { Failure } from "../base/failure.ts";
import type { SharedFile, SharedImage } from "../base/shared-image.ts";
import { type FileDevice, holeDescriptor } from "./file-device.ts";
import type { FilePart } from "./sink.ts";

/** Reads what is not at hand. */
export type ReadElsewhere = (offset: number, into: Uint8Array, signal: AbortSignal) => Promise<void>;

/** An image that lies open to this thread: what is present is read from its files, the rest elsewhere. */
export class SharedImageDevice implements FileDevice {
  readonly bytes: number;
  readonly #image: SharedImage;
  readonly #elsewhere: ReadElsewhere;
  /** Used for every answer of `place`, so that a hit makes no garbage. */
  readonly #place = { descriptor: 0, position: 0, bytes: 0 };
  #mistrusted = false;

  constructor(image: SharedImage, elsewhere: ReadElsewhere) {
    this.bytes = image.bytes;
    this.#image = image;
    this.#elsewhere = elsewhere;
  }

  /** A file could not be read in the middle of a reply: from now on everything is read before a reply begins. */
  mistrust(): void {
    this.#mistrusted = true;
  }

  place(offset: number, bytes: number): FilePart | undefined {
    const { offsets, files, positions } = this.#image.runs;
    const run = this.#runAt(offset);
    if (this.#mistrusted || offset + bytes > (offsets[run + 1] ?? 0)) return undefined;
    const place = this.#place;
    place.bytes = bytes;
    const file = this.#image.files[files[run] ?? -1];
    if (file === undefined) {
      place.descriptor = holeDescriptor;
      return place;
    }
    place.descriptor = file.descriptor;
    place.position = (positions[run] ?? 0) + offset - (offsets[run] ?? 0);
    return isAtHand(file, place.position, bytes) ? place : undefined;
  }

  /** A file that cannot be read is as good as none: whoever reads elsewhere learns why. */
  readNow(offset: number, into: Uint8Array): boolean {
    try {
      return (
        this.#each(offset, into.length, isAtHand) && this.#each(offset, into.length, copyTo(into, offset))
      );
    } catch {
      return false;
    }
  }

  read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#elsewhere(offset, into, signal);
  }

  extents(offset: number, length: number, extentsMax: number): Extent[] {
    const { offsets, files } = this.#image.runs;
    const extents: Extent[] = [];
    const end = offset + length;
    for (let at = offset, run = this.#runAt(offset); at < end; run++) {
      const zero = (files[run] ?? -1) < 0;
      const stop = Math.min(end, offsets[run + 1] ?? end);
      const last = extents.at(-1);
      if (last?.zero === zero) extents[extents.length - 1] = { bytes: last.bytes + stop - at, zero };
      else if (extents.length === extentsMax) break;
      else extents.push({ bytes: stop - at, zero });
      at = stop;
    }
    return extents;
  }

  /** Does something with each piece, in order, until it says no. Zeros that lie nowhere have no file. */
  #each(offset: number, length: number, act: Act): boolean {
    const { offsets, files, positions } = this.#image.runs;
    const end = offset + length;
    for (let at = offset, run = this.#runAt(offset); at < end; run++) {
      const stop = Math.min(end, offsets[run + 1] ?? end);
      const position = (positions[run] ?? 0) + at - (offsets[run] ?? 0);
      if (!act(this.#image.files[files[run] ?? -1], position, stop - at, at)) return false;
      at = stop;
    }
    return true;
  }

  /** The run that holds `offset`: the last one that does not start after it. */
  #runAt(offset: number): number {
    const { offsets, files } = this.#image.runs;
    let low = 0;
    let high = files.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((offsets[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

type Act = (file: SharedFile | undefined, position: number, bytes: number, offset: number) => boolean;

/** True when every chunk of the stretch may be read from the file, or is zeros. */
function isAtHand(file: SharedFile | undefined, position: number, bytes: number): boolean {
  if (file === undefined) return true;
  const last = Math.floor((position + bytes - 1) / file.chunkBytes);
  for (let chunk = Math.floor(position / file.chunkBytes); chunk <= last; chunk++) {
    const word = Atomics.load(file.present, chunk >> 5) | (file.zero[chunk >> 5] ?? 0);
    if (((word >>> (chunk & 31)) & 1) === 0) return false;
  }
  return true;
}

function copyTo(into: Uint8Array, start: number): Act {
  return (file, position, bytes, offset) => {
    const at = offset - start;
    if (file === undefined) into.fill(0, at, at + bytes);
    else readWhole(file.descriptor, into, at, bytes, position);
    return true;
  };
}

/** Reads exactly `bytes` bytes to `at`. Throws when the file ends before. */
export function readWhole(
  descriptor: number,
  into: Uint8Array,
  at: number,
  bytes: number,
  position: number,
): void {
  for (let done = 0; done < bytes; ) {
    const read = readSync(descriptor, into, at + done, bytes - done, position + done);
    if (read === 0) throw new Failure("corrupt", "a file is shorter than it was");
    done += read;
  }
}
