import assert from "node:assert/strict";
import { Failure } from "../base/failure.ts";
import { blockBytes, chunkBytes, type ImageArtifact } from "./artifact.ts";
import { decodeLayout, encodeLayout } from "./index-codec.ts";
import type { SharedRuns } from "../base/shared-image.ts";
import { sharedRuns, sharedZeros } from "./shared-runs.ts";
import type { ImageEntry } from "./manifest.ts";

/** A stretch of the device: where its bytes lie. Runs are in order, without gaps, and cover the device. */
export interface Run {
  readonly offset: number;
  readonly length: number;
  /** The build that stores it; null for zeros, which nobody stores. */
  readonly build: string | null;
  /** Where in that build's storage space; 0 for zeros. */
  readonly storageOffset: number;
}

/** A run, or the part of one that somebody asked for. */
export type Piece = Run;

/** What is known of one chunk of this build's own storage space. */
export type ChunkPlace =
  | { readonly zero: true; readonly bytes: number }
  | {
      readonly zero: false;
      readonly bytes: number;
      /** SHA-256 of the uncompressed chunk. */
      readonly digest: Buffer;
      readonly packOffset: number;
      readonly packedBytes: number;
      readonly codec: "zstd" | "raw";
    };

/** A chunk as it stands in an index: places in the pack follow from the order. */
export type StoredChunk = {
  readonly digest: Buffer;
  readonly packedBytes: number;
  readonly codec: "zstd" | "raw";
} | null;

/** All that an index says, as a plain value. */
export interface IndexLayout {
  readonly build: string;
  readonly artifact: ImageArtifact;
  readonly deviceBytes: number;
  readonly storageBytes: number;
  readonly runs: readonly Run[];
  /** One entry a chunk of the storage space; null for a chunk of zeros. */
  readonly chunks: readonly StoredChunk[];
}

export interface ExpectedIndex {
  readonly build: string;
  readonly artifact: ImageArtifact;
  readonly image?: ImageEntry;
}

/**
 * The map of an artifact: which build holds which range of the device, and the digest and place of each chunk
 * that this build stores itself. Immutable.
 */
export class ArtifactIndex {
  readonly layout: IndexLayout;
  readonly #runOffsets: Float64Array;
  readonly #packOffsets: Float64Array;
  #sharedRuns: SharedRuns | undefined;
  #sharedZeros: Int32Array | undefined;

  /** The layout must keep the rules of `checkLayout`. */
  constructor(layout: IndexLayout) {
    this.layout = layout;
    this.#runOffsets = Float64Array.from(layout.runs, (run) => run.offset);
    this.#packOffsets = new Float64Array(layout.chunks.length + 1);
    for (const [i, chunk] of layout.chunks.entries()) {
      this.#packOffsets[i + 1] = (this.#packOffsets[i] ?? 0) + (chunk?.packedBytes ?? 0);
    }
  }

  /**
   * Throws `corrupt` with a sentence for anything that is not exactly what `encode` wrote for this artifact, or not
   * of the sizes that `image`, its entry in the manifest, says; `invalid` for a newer version.
   */
  static decode(bytes: Uint8Array, expected: ExpectedIndex): ArtifactIndex {
    const index = new ArtifactIndex(decodeLayout(bytes));
    const { build, artifact, image } = expected;
    const what = `the index of ${artifact} of build ${build}`;
    if (index.build !== build || index.artifact !== artifact) {
      throw new Failure("corrupt", `${what} belongs to ${index.artifact} of ${index.build}`);
    }
    const { deviceBytes, storageBytes, packBytes } = index;
    const fits =
      image === undefined ||
      (deviceBytes === image.bytes && storageBytes === image.storageBytes && packBytes === image.packBytes);
    if (!fits) throw new Failure("corrupt", `${what} and the manifest tell different sizes`);
    return index;
  }

  encode(): Buffer {
    return encodeLayout(this.layout);
  }

  get build(): string {
    return this.layout.build;
  }

  get artifact(): ImageArtifact {
    return this.layout.artifact;
  }

  get deviceBytes(): number {
    return this.layout.deviceBytes;
  }

  get storageBytes(): number {
    return this.layout.storageBytes;
  }

  get chunkCount(): number {
    return this.layout.chunks.length;
  }

  /** Bytes of the pack: the sum of all stored chunks. */
  get packBytes(): number {
    return this.#packOffsets[this.chunkCount] ?? 0;
  }

  /** The runs for other threads; files are numbered as `builds` lists them. Made once, for all who lend the image. */
  get sharedRuns(): SharedRuns {
    this.#sharedRuns ??= sharedRuns(this.layout.runs, this.builds(), this.deviceBytes);
    return this.#sharedRuns;
  }

  /** Which chunks are zeros, for other threads. */
  get sharedZeros(): Int32Array {
    this.#sharedZeros ??= sharedZeros(this.layout.chunks);
    return this.#sharedZeros;
  }

  chunk(index: number): ChunkPlace {
    const stored = this.layout.chunks[index];
    assert.ok(stored !== undefined, `chunk ${index} of ${this.chunkCount}`);
    const bytes = Math.min(chunkBytes, this.storageBytes - index * chunkBytes);
    if (stored === null) return { zero: true, bytes };
    return { zero: false, bytes, packOffset: this.#packOffsets[index] ?? 0, ...stored };
  }

  /** Where `length` bytes of the device from `offset` on lie: pieces in order, without gaps. */
  locate(offset: number, length: number): Piece[] {
    assert.ok(offset >= 0 && length >= 0 && offset + length <= this.deviceBytes, "a range of the device");
    const pieces: Piece[] = [];
    const end = offset + length;
    let at = offset;
    for (let i = this.#runAt(offset); at < end; i++) {
      const run = this.layout.runs[i];
      assert.ok(run !== undefined);
      const stop = Math.min(end, run.offset + run.length);
      const storageOffset = run.build === null ? 0 : run.storageOffset + (at - run.offset);
      pieces.push({ offset: at, length: stop - at, build: run.build, storageOffset });
      at = stop;
    }
    return pieces;
  }

  /** Every build that holds a part of the device, each once. */
  builds(): string[] {
    const builds = new Set<string>();
    for (const run of this.layout.runs) if (run.build !== null) builds.add(run.build);
    return [...builds];
  }

  /** The run that holds `offset`: the last one that does not start after it. */
  #runAt(offset: number): number {
    let low = 0;
    let high = this.#runOffsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#runOffsets[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** True when `value` is a whole number of blocks. */
export function isBlockAligned(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value % blockBytes === 0;
}
