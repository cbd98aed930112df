import { createHash, hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { type ImageArtifact, imageArtifacts } from "./artifact.ts";
import {
  type BuildInput,
  encodeManifest,
  type FileEntry,
  type ImageEntry,
  type InputName,
  type MachineShape,
  type Manifest,
  manifestVersion,
} from "./manifest.ts";
import { blobKey, fileKey, indexKey, manifestKey, packKey } from "./object-keys.ts";
import { packImage } from "./pack-image.ts";

export interface PublishOptions {
  readonly bucket: Bucket;
  readonly build: string;
  readonly createdAt: string;
  /** Paths of the devices and of the device state. */
  readonly artifacts: { readonly rootfs?: string; readonly memfile?: string; readonly snapfile?: string };
  readonly metafile: Buffer;
  readonly shape?: MachineShape;
  /** Paths of the blobs that the build names. */
  readonly inputs: readonly { readonly name: InputName; readonly path: string }[];
  /** Where packs are written before they are put; on a disk with room for them. */
  readonly scratch: string;
  readonly onProgress?: (what: string, fraction: number) => void;
}

/**
 * Publishes a base build. The manifest is put last and once: until then the build does not exist (C26).
 * Throws `conflict` when there is such a build already.
 */
export async function publishBuild(options: PublishOptions, signal: AbortSignal): Promise<Manifest> {
  const { bucket, build, artifacts } = options;
  const scratch = await mkdtemp(path.join(options.scratch, "publish-"));
  try {
    const inputs: BuildInput[] = [];
    for (const { name, path } of options.inputs)
      inputs.push({ name, ...(await putBlob(bucket, path, signal)) });
    const images: Partial<Record<ImageArtifact, ImageEntry>> = {};
    for (const artifact of imageArtifacts) {
      const image = artifacts[artifact];
      if (image !== undefined) images[artifact] = await putImage(options, artifact, image, scratch, signal);
    }
    const { snapfile: snapPath } = artifacts;
    const snapfile =
      snapPath === undefined
        ? undefined
        : await putFile(bucket, fileKey(build, "snapfile"), await readFile(snapPath), signal);
    const metafile = await putFile(bucket, fileKey(build, "metafile"), options.metafile, signal);
    const manifest: Manifest = {
      formatVersion: manifestVersion,
      build,
      createdAt: options.createdAt,
      ancestors: [],
      ...images,
      ...(snapfile === undefined ? {} : { snapfile }),
      metafile,
      ...(options.shape === undefined ? {} : { shape: options.shape }),
      inputs,
    };
    await bucket.put(manifestKey(build), encodeManifest(manifest), { ifNoneMatch: "*" }, signal);
    return manifest;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function putImage(
  options: PublishOptions,
  artifact: ImageArtifact,
  image: string,
  scratch: string,
  signal: AbortSignal,
): Promise<ImageEntry> {
  const { bucket, build, onProgress } = options;
  const pack = path.join(scratch, `${artifact}.pack`);
  const index = await packImage(
    { build, artifact, image, pack, onProgress: (fraction) => onProgress?.(artifact, fraction) },
    signal,
  );
  await bucket.put(packKey(build, artifact), { path: pack, bytes: index.packBytes }, {}, signal);
  await rm(pack);
  const entry = await putFile(bucket, indexKey(build, artifact), index.encode(), signal);
  return {
    bytes: index.deviceBytes,
    storageBytes: index.storageBytes,
    packBytes: index.packBytes,
    index: entry,
  };
}

async function putFile(bucket: Bucket, key: string, bytes: Buffer, signal: AbortSignal): Promise<FileEntry> {
  await bucket.put(key, bytes, {}, signal);
  return { bytes: bytes.length, digest: hash("sha256", bytes) };
}

/** Puts an input under its digest; one that is there already is left alone: blobs are never overwritten. */
export async function putBlob(bucket: Bucket, file: string, signal: AbortSignal): Promise<FileEntry> {
  const sum = createHash("sha256");
  await pipeline(createReadStream(file), sum, { signal });
  const digest = sum.digest("hex");
  const { size } = await stat(file);
  try {
    await bucket.put(blobKey(digest), { path: file, bytes: size }, { ifNoneMatch: "*" }, signal);
  } catch (error) {
    if (!Failure.is(error, "conflict")) throw error;
  }
  return { bytes: size, digest };
}
