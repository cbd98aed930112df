import { Failure } from "../base/failure.ts";
import type { BlockDevice, Extent } from "../base/block-device.ts";
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
export class ImageDevice implements BlockDevice {
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
    for (const piece of pieces)
      this.#copy(piece, into.subarray(piece.offset - offset, piece.offset - offset + piece.length));
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

  #copy({ build, storageOffset }: Piece, into: Uint8Array): void {
    if (build === null) into.fill(0);
    else this.#imageOf(build).file.readNow(storageOffset, into);
  }

  async #readPiece(piece: Piece, into: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#checkOpen();
    if (piece.build === null) return void into.fill(0);
    const { fetcher, file } = this.#imageOf(piece.build);
    const first = Math.floor(piece.storageOffset / chunkBytes);
    const last = Math.floor((piece.storageOffset + piece.length - 1) / chunkBytes);
    for (let from = first; from <= last; from += wantsAtOnce) {
      const chunks = Array.from({ length: Math.min(wantsAtOnce, last - from + 1) }, (_, i) => from + i);
      const landed = await Promise.all(chunks.map((chunk) => fetcher.want(chunk, signal)));
      this.#checkOpen();
      for (const [i, chunk] of chunks.entries()) {
        let passedThrough = landed[i];
        // While the others were waited for, the disk may have lost this one again.
        while (passedThrough === undefined && !file.isAtHand(chunk)) {
          passedThrough = await fetcher.want(chunk, signal);
        }
        this.#copyChunk(piece, chunk, passedThrough, into);
      }
    }
  }

  /** Copies the part of `piece` that lies in `chunk`, from the shelf or, without room for it there, from its bytes. */
  #copyChunk(piece: Piece, chunk: number, passedThrough: Uint8Array | undefined, into: Uint8Array): void {
    const start = Math.max(piece.storageOffset, chunk * chunkBytes);
    const end = Math.min(piece.storageOffset + piece.length, (chunk + 1) * chunkBytes);
    const part = into.subarray(start - piece.storageOffset, end - piece.storageOffset);
    if (passedThrough === undefined) this.#copy({ ...piece, storageOffset: start }, part);
    else part.set(passedThrough.subarray(start - chunk * chunkBytes, end - chunk * chunkBytes));
  }
}
