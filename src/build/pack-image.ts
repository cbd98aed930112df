import { type FileHandle, open } from "node:fs/promises";
import { Failure } from "../base/failure.ts";
import { dataRanges } from "../base/sparse-file.ts";
import { blockBytes, chunkBytes, type ImageArtifact } from "./artifact.ts";
import { ArtifactIndex, type Run, type StoredChunk } from "./artifact-index.ts";
import { append, type Merged } from "./merge-index.ts";
import { type PackedChunk, packChunk } from "./pack-chunk.ts";

/** Chunks being compressed at once; the runtime has four threads for it. */
const chunksInFlight = 8;

export interface PackOptions {
  readonly build: string;
  readonly artifact: ImageArtifact;
  /** The storage space, as a file: for a base the device itself, for a child its changes one after the other. */
  readonly image: string;
  /** For a child: the runs that `mergeIndex` made, and the size of the device. A base needs none. */
  readonly child?: Merged & { readonly deviceBytes: number };
  /** Where the pack is written to. */
  readonly pack: string;
  readonly onProgress?: (fraction: number) => void;
}

/**
 * Packs an image: every chunk that is not all zeros becomes one frame, neighbours stay neighbours.
 * Holes are skipped without being read. Returns the index of what was written.
 */
export async function packImage(options: PackOptions, signal: AbortSignal): Promise<ArtifactIndex> {
  await using image = await open(options.image, "r");
  const { size } = await image.stat();
  if (size % blockBytes !== 0) throw new Failure("invalid", `${options.image} is no whole number of blocks`);
  if (options.child !== undefined && options.child.storageBytes !== size) {
    throw new Failure("invalid", `${options.image} holds ${size} bytes, not ${options.child.storageBytes}`);
  }
  await using pack = await open(options.pack, "w", 0o600);
  const chunks = await packChunks(image, size, pack, options.onProgress, signal);
  const { build, artifact, child } = options;
  const deviceBytes = child?.deviceBytes ?? size;
  const runs = child?.runs ?? baseRuns(build, size, chunks);
  return new ArtifactIndex({ build, artifact, deviceBytes, storageBytes: size, runs, chunks });
}

async function packChunks(
  image: FileHandle,
  size: number,
  pack: FileHandle,
  onProgress: PackOptions["onProgress"],
  signal: AbortSignal,
): Promise<StoredChunk[]> {
  const chunks: StoredChunk[] = Array.from({ length: Math.ceil(size / chunkBytes) }, () => null);
  const wanted = dataChunks(image, size);
  const underWay: Promise<PackedChunk | null>[] = [];
  const begin = (index: number) => {
    const packed = readChunk(image, index * chunkBytes, size).then(packChunk);
    packed.catch(() => {}); // told when its turn comes
    underWay.push(packed);
  };
  try {
    for (const index of wanted.slice(0, chunksInFlight)) begin(index);
    for (const [done, index] of wanted.entries()) {
      signal.throwIfAborted();
      const packed = await underWay.shift();
      const following = wanted[done + chunksInFlight];
      if (following !== undefined) begin(following);
      if (packed !== undefined && packed !== null) {
        chunks[index] = packed.stored;
        await pack.writeFile(packed.frame);
      }
      if (done % 64 === 0) onProgress?.(done / wanted.length);
    }
  } catch (error) {
    throw Failure.from(error);
  } finally {
    await Promise.allSettled(underWay);
  }
  onProgress?.(1);
  return chunks;
}

/** Numbers of the chunks that are not wholly holes, in order. */
function dataChunks(image: FileHandle, size: number): number[] {
  const chunks: number[] = [];
  for (const { offset, length } of dataRanges(image.fd, size)) {
    const first = Math.max(Math.floor(offset / chunkBytes), (chunks.at(-1) ?? -1) + 1);
    for (let index = first; index * chunkBytes < offset + length; index++) chunks.push(index);
  }
  return chunks;
}

async function readChunk(image: FileHandle, offset: number, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(Math.min(chunkBytes, size - offset));
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await image.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new Failure("corrupt", "the image became shorter while it was packed");
    done += bytesRead;
  }
  return bytes;
}

/** For a base storage offset = device offset; chunks of zeros are stored by nobody. */
function baseRuns(build: string, size: number, chunks: readonly StoredChunk[]): Run[] {
  const runs: Run[] = [];
  for (const [i, chunk] of chunks.entries()) {
    const offset = i * chunkBytes;
    const length = Math.min(chunkBytes, size - offset);
    append(runs, { offset, length, ...(chunk === null ? nobody : { build, storageOffset: offset }) });
  }
  return runs;
}

const nobody = { build: null, storageOffset: 0 } as const;
