import { hash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { once } from "node:events";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { Failure } from "../base/failure.ts";
import { dataRanges } from "../base/sparse-file.ts";
import { blockBytes, chunkBytes, type ImageArtifact } from "./artifact.ts";
import { ArtifactIndex, type Run, type StoredChunk } from "./artifact-index.ts";
import { append, type Merged } from "./merge-index.ts";

const compress = promisify(zstdCompress);
/** Level 3 packs 250 MB/s a core; higher ones cost more than the bytes they save. */
const compression = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };
/** A frame that saves less than 5 % is stored as it is: reading it back is then free. */
const worthwhile = 0.95;
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
  const chunks = await packChunks(image, size, options, signal);
  const { build, artifact, child } = options;
  const deviceBytes = child?.deviceBytes ?? size;
  const runs = child?.runs ?? baseRuns(build, size, chunks);
  return new ArtifactIndex({ build, artifact, deviceBytes, storageBytes: size, runs, chunks });
}

async function packChunks(image: FileHandle, size: number, options: PackOptions, signal: AbortSignal) {
  const chunks: StoredChunk[] = Array.from({ length: Math.ceil(size / chunkBytes) }, () => null);
  const wanted = dataChunks(image, size);
  const pack = createWriteStream(options.pack, { mode: 0o600 });
  const written = once(pack, "close");
  const frames: { index: number; frame: Promise<PackedChunk | null> }[] = [];
  const flush = async () => {
    const next = frames.shift();
    const packed = await next?.frame;
    if (next === undefined || packed === undefined || packed === null) return;
    chunks[next.index] = packed.stored;
    if (!pack.write(packed.frame)) await once(pack, "drain");
  };
  try {
    for (const [done, index] of wanted.entries()) {
      signal.throwIfAborted();
      const frame = packChunk(image, index * chunkBytes, Math.min(chunkBytes, size - index * chunkBytes));
      frame.catch(() => {}); // told when its turn comes
      frames.push({ index, frame });
      if (frames.length >= chunksInFlight) await flush();
      if (done % 64 === 0) options.onProgress?.(done / wanted.length);
    }
    while (frames.length > 0) await flush();
    pack.end();
    await written;
  } catch (error) {
    await Promise.allSettled(frames.map(({ frame }) => frame));
    pack.destroy();
    await written.catch(() => {});
    throw Failure.from(error);
  }
  options.onProgress?.(1);
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

interface PackedChunk {
  readonly stored: NonNullable<StoredChunk>;
  readonly frame: Buffer;
}

async function packChunk(image: FileHandle, offset: number, length: number): Promise<PackedChunk | null> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await image.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw new Failure("corrupt", "the image became shorter while it was packed");
    done += bytesRead;
  }
  if (isZero(bytes)) return null;
  const digest = hash("sha256", bytes, "buffer");
  const packed = await compress(bytes, compression);
  const codec = packed.length < length * worthwhile ? "zstd" : "raw";
  const frame = codec === "zstd" ? packed : bytes;
  return { stored: { digest, packedBytes: frame.length, codec }, frame };
}

const zeros = Buffer.alloc(chunkBytes);

/** True when every one of at most chunkBytes bytes is zero. */
export function isZero(bytes: Uint8Array): boolean {
  return zeros.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
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
