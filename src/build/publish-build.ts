import { hash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { type Clock, systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { type ImageArtifact, imageArtifacts } from "./artifact.ts";
import { isPublished } from "./is-published.ts";
import {
  type Ancestor,
  type BuildInput,
  encodeManifest,
  type FileEntry,
  type ImageEntry,
  type InputName,
  type MachineShape,
  type Manifest,
  manifestVersion,
} from "./manifest.ts";
import { fileKey, manifestKey } from "./object-keys.ts";
import { putBlob } from "./put-blob.ts";
import type { ChildImage } from "./pack-layer.ts";
import { putImage } from "./put-image.ts";

export interface PublishOptions {
  readonly bucket: Bucket;
  readonly build: string;
  readonly createdAt: string;
  /** Paths of the devices and of the device state; for a device that a parent build has too, what changed. */
  readonly artifacts: {
    readonly rootfs?: string | ChildImage;
    readonly memfile?: string | ChildImage;
    readonly firstpages?: string;
    readonly snapfile?: string;
  };
  readonly metafile: Buffer;
  readonly shape?: MachineShape;
  /** Paths of the blobs that the build names. */
  readonly inputs: readonly { readonly name: InputName; readonly path: string }[];
  /** Where packs are written before they are put; on a disk with room for them. */
  readonly scratch: string;
  readonly onProgress?: (what: string, fraction: number) => void;
  readonly clock?: Pick<Clock, "now">;
}

/**
 * Publishes a build. The manifest is put last and once: until then the build does not exist (C26).
 * Throws `conflict` when there is such a build already, `not_found` when a parent is not published.
 */
export async function publishBuild(options: PublishOptions, signal: AbortSignal): Promise<Manifest> {
  const { bucket, build } = options;
  // What a published build consists of is never put again, not even before the manifest would refuse it.
  if (await isPublished(bucket, build, signal))
    throw new Failure("conflict", `build ${build} is published already`);
  await checkParents(options, signal);
  const scratch = await mkdtemp(path.join(options.scratch, "publish-"));
  try {
    const manifest = await putArtifacts(options, scratch, signal);
    await bucket.put(manifestKey(build), encodeManifest(manifest), { ifNoneMatch: "*" }, signal);
    return manifest;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A build over a parent is published only after the parent (C26). */
async function checkParents(
  { bucket, build, artifacts }: PublishOptions,
  signal: AbortSignal,
): Promise<void> {
  for (const artifact of imageArtifacts) {
    const image = artifacts[artifact];
    if (image === undefined || typeof image === "string") continue;
    const parent = image.parent.manifest.build;
    if (await isPublished(bucket, parent, signal)) continue;
    throw new Failure("not_found", `build ${build} is to be published before its parent ${parent}`);
  }
}

async function putArtifacts(
  options: PublishOptions,
  scratch: string,
  signal: AbortSignal,
): Promise<Manifest> {
  const { bucket, build, artifacts, createdAt, shape, onProgress, clock = systemClock } = options;
  const inputs: BuildInput[] = [];
  for (const { name, path } of options.inputs)
    inputs.push({ name, ...(await putBlob(bucket, path, { clock }, signal)) });
  const images: Partial<Record<ImageArtifact, ImageEntry>> = {};
  const ancestors: Ancestor[] = [];
  for (const artifact of imageArtifacts) {
    const image = artifacts[artifact];
    if (image === undefined) continue;
    const progress = (fraction: number) => onProgress?.(artifact, fraction);
    const put = await putImage({ bucket, build, artifact, image, scratch, onProgress: progress }, signal);
    images[artifact] = put.entry;
    ancestors.push(...put.ancestors);
  }
  const { snapfile } = artifacts;
  const files: { snapfile?: FileEntry } = {};
  if (snapfile !== undefined)
    files.snapfile = await putFile(bucket, fileKey(build, "snapfile"), await readFile(snapfile), signal);
  const metafile = await putFile(bucket, fileKey(build, "metafile"), options.metafile, signal);
  const what = { build, createdAt, ancestors, ...images, ...files, metafile };
  return { formatVersion: manifestVersion, ...what, ...(shape === undefined ? {} : { shape }), inputs };
}

async function putFile(bucket: Bucket, key: string, bytes: Buffer, signal: AbortSignal): Promise<FileEntry> {
  await bucket.put(key, bytes, {}, signal);
  return { bytes: bytes.length, digest: hash("sha256", bytes) };
}
