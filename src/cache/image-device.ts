import { Failure } from "../base/failure.ts";
import type { Extent } from "../base/block-device.ts";
import type { LendableDevice, LentImage, OtherReaders } from "../base/shared-image.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { ArtifactIndex, Piece } from "../build/artifact-index.ts";
import type { OpenImage } from "./residence.ts";

/** Chunks that one read may bring to the shelf at once. */
const wantsAtOnce = 64;

/** Runs a read on behalf of a lease: given up when the lease ends, which waits for it. */
export type During = <T>(read: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) => Promise<T>;

/**
 * An image as a block device: the index says which build holds each piece, the shelves of those builds give it,
 * and what is missing is fetched when it is read.
 */
export class ImageDevice implements LendableDevice {
  readonly bytes: number;
  readonly #index: ArtifactIndex;
  readonly #imageOf: (build: string) => OpenImage;
  readonly #checkOpen: () => void;
  readonly #during: During;

  constructor(
    index: ArtifactIndex,
    imageOf: (build: string) => OpenImage,
    checkOpen: () => void,
    during: During,
  ) {
    this.bytes = index.deviceBytes;
    this.#index = index;
    this.#imageOf = imageOf;
    this.#checkOpen = checkOpen;
    this.#during = during;
  }

  readNow(offset: number, into: Uint8Array): boolean {
    this.#checkOpen();
    const pieces = this.#pieces(offset, into.length);
    for (const piece of pieces) if (!this.#isAtHand(piece)) return false;
    for (const piece of pieces) {
      const at = piece.offset - offset;
      if (!this.#copy(piece, into.subarray(at, at + piece.length))) return false;
    }
    return true;
  }

  read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#during((signal) => this.#read(offset, into, signal), signal);
  }

  async #read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    for (const piece of this.#pieces(offset, into.length)) {
      const part = into.subarray(piece.offset - offset, piece.offset - offset + piece.length);
      await this.#readPiece(piece, part, signal);
    }
  }

  extents(offset: number, length: number, extentsMax: number): Extent[] {
    this.#checkOpen();
    const extents: Extent[] = [];
    for (const piece of this.#pieces(offset, length)) {
      const zero = piece.build === null;
      const last = extents.at(-1);
      if (last !== undefined && last.zero === zero) {
        extents[extents.length - 1] = { bytes: last.bytes + piece.length, zero };
      } else if (extents.length === extentsMax) break;
      else extents.push({ bytes: piece.length, zero });
    }
    return extents;
  }

  /** Lays the image open to other threads. The lease ends only after it was given back (C15). */
  lend(readers: OtherReaders): LentImage {
    this.#checkOpen();
    const index = this.#index;
    const files = index.builds().map((build) => this.#imageOf(build).file);
    const joined = files.map((file) => file.readers.join(() => readers.passed()));
    const back = Promise.withResolvers<void>();
    void this.#during(() => back.promise, new AbortController().signal);
    const shared = files.map(({ descriptor, present, index: { sharedZeros: zero } }) => {
      return { descriptor, chunkBytes, present: present.words, zero };
    });
    return {
      image: { bytes: this.bytes, runs: index.sharedRuns, files: shared },
      [Symbol.dispose]: () => {
        for (const each of joined) each[Symbol.dispose]();
        back.resolve();
      },
    };
  }

  #pieces(offset: number, length: number): Piece[] {
    if (offset < 0 || offset + length > this.bytes) {
      throw new Failure("invalid", `${length} bytes at ${offset} are not on a device of ${this.bytes} bytes`);
    }
    return this.#index.locate(offset, length);
  }

  #isAtHand({ build, storageOffset, length }: Piece): boolean {
    if (build === null) return true;
    const { file } = this.#imageOf(build);
    const last = Math.floor((storageOffset + length - 1) / chunkBytes);
    for (let chunk = Math.floor(storageOffset / chunkBytes); chunk <= last; chunk++) {
      if (!file.isAtHand(chunk)) return false;
    }
    return true;
  }

  /** False when the shelf cannot be read: then nobody is served from those chunks any more. */
  #copy({ build, storageOffset }: Piece, into: Uint8Array): boolean {
    if (build === null) {
      into.fill(0);
      return true;
    }
    const { fetcher, file } = this.#imageOf(build);
    try {
      file.readNow(storageOffset, into);
      return true;
    } catch {
      const last = Math.floor((storageOffset + into.length - 1) / chunkBytes);
      for (let chunk = Math.floor(storageOffset / chunkBytes); chunk <= last; chunk++) {
        if (file.present.has(chunk)) void fetcher.checker.distrust(chunk);
      }
      return false;
    }
  }

  async #readPiece(piece: Piece, into: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#checkOpen();
    if (piece.build === null) return void into.fill(0);
    const { fetcher } = this.#imageOf(piece.build);
    const first = Math.floor(piece.storageOffset / chunkBytes);
    const last = Math.floor((piece.storageOffset + piece.length - 1) / chunkBytes);
    for (let from = first; from <= last; from += wantsAtOnce) {
      const chunks = Array.from({ length: Math.min(wantsAtOnce, last - from + 1) }, (_, i) => from + i);
      const landed = await Promise.all(chunks.map((chunk) => fetcher.want(chunk, signal)));
      this.#checkOpen();
      for (const [i, chunk] of chunks.entries()) {
        const passedThrough = landed[i];
        if (passedThrough === undefined && this.#copyKept(piece, chunk, into)) continue;
        this.#copyFrom(passedThrough ?? (await fetcher.passThrough(chunk, signal)), piece, chunk, into);
      }
    }
  }

  /** Copies the part of `piece` that lies in `chunk` from the shelf; false when it has lost the chunk again. */
  #copyKept(piece: Piece, chunk: number, into: Uint8Array): boolean {
    const { start, end } = shareOf(piece, chunk);
    const part = into.subarray(start - piece.storageOffset, end - piece.storageOffset);
    const { file } = this.#imageOf(piece.build ?? "");
    if (file.index.chunk(chunk).zero) {
      part.fill(0);
      return true;
    }
    if (!file.present.has(chunk)) return false;
    return this.#copy({ ...piece, storageOffset: start }, part);
  }

  #copyFrom(bytes: Uint8Array, piece: Piece, chunk: number, into: Uint8Array): void {
    const { start, end } = shareOf(piece, chunk);
    into.set(
      bytes.subarray(start - chunk * chunkBytes, end - chunk * chunkBytes),
      start - piece.storageOffset,
    );
  }
}

/** The part of a piece that lies in one chunk, in bytes of the storage space. */
function shareOf({ storageOffset, length }: Piece, chunk: number): { start: number; end: number } {
  const start = Math.max(storageOffset, chunk * chunkBytes);
  const end = Math.min(storageOffset + length, (chunk + 1) * chunkBytes);
  return { start, end };
}
