import { hash } from "node:crypto";
import { open } from "node:fs/promises";
import { chunkBytes } from "../build/artifact.ts";
import type { ArtifactIndex } from "../build/artifact-index.ts";
import { isZero } from "../build/is-zero.ts";

const digestBytes = 32;
const zeroDigest = Buffer.alloc(digestBytes);

/**
 * The digest of each chunk of one file, in a row; all zeros stand for a chunk of zeros, which nobody stores. It is
 * what the process that serves the file gets to know of its index.
 */
export class ChunkTable {
  readonly fileBytes: number;
  readonly #digests: Buffer;

  constructor(fileBytes: number, digests: Buffer) {
    this.fileBytes = fileBytes;
    this.#digests = digests;
    if (digests.length !== this.chunkCount * digestBytes)
      throw new RangeError(`${digests.length} bytes of digests for ${this.chunkCount} chunks`);
  }

  static of(index: Pick<ArtifactIndex, "storageBytes" | "chunkCount" | "chunk">): ChunkTable {
    const digests = Array.from({ length: index.chunkCount }, (_, chunk) => {
      const place = index.chunk(chunk);
      return place.zero ? zeroDigest : place.digest;
    });
    return new ChunkTable(index.storageBytes, Buffer.concat(digests));
  }

  /** Of a file that lies whole on this disk, and is believed. */
  static async ofFile(path: string): Promise<ChunkTable> {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const buffer = Buffer.alloc(chunkBytes);
    const digests: Buffer[] = [];
    for (let at = 0; at < size; at += chunkBytes) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(chunkBytes, size - at), at);
      const chunk = buffer.subarray(0, bytesRead);
      digests.push(isZero(chunk) ? zeroDigest : hash("sha256", chunk, "buffer"));
    }
    return new ChunkTable(size, Buffer.concat(digests));
  }

  static decode({ fileBytes, digests }: EncodedTable): ChunkTable {
    return new ChunkTable(fileBytes, Buffer.from(digests, "base64"));
  }

  encode(): EncodedTable {
    return { fileBytes: this.fileBytes, digests: this.#digests.toString("base64") };
  }

  get chunkCount(): number {
    return Math.ceil(this.fileBytes / chunkBytes);
  }

  bytesOf(chunk: number): number {
    return Math.min(chunkBytes, this.fileBytes - chunk * chunkBytes);
  }

  isZero(chunk: number): boolean {
    return this.#digest(chunk).equals(zeroDigest);
  }

  /** True when `digest` is that of the chunk's bytes. */
  matches(chunk: number, digest: Buffer): boolean {
    return this.#digest(chunk).equals(digest);
  }

  #digest(chunk: number): Buffer {
    return this.#digests.subarray(chunk * digestBytes, (chunk + 1) * digestBytes);
  }
}

export interface EncodedTable {
  readonly fileBytes: number;
  /** In base 64. */
  readonly digests: string;
}
