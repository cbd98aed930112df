import { rm } from "node:fs/promises";
import type { Bucket } from "../bucket/bucket.ts";
import type { Ancestor, ImageEntry } from "./manifest.ts";
import { indexKey, packKey } from "./object-keys.ts";
import { indexPath, packLayer, type PackLayerOptions, packPath } from "./pack-layer.ts";

export interface PutImageOptions extends Omit<PackLayerOptions, "directory"> {
  readonly bucket: Bucket;
  /** A directory with room for the pack. */
  readonly scratch: string;
}

export interface PutImage {
  readonly entry: ImageEntry;
  readonly ancestors: readonly Ancestor[];
}

/** Packs an image and puts its pack, then its index. */
export async function putImage(options: PutImageOptions, signal: AbortSignal): Promise<PutImage> {
  const { bucket, build, artifact, scratch: directory } = options;
  const { index, entry, ancestors } = await packLayer({ ...options, directory }, signal);
  const pack = packPath(directory, artifact);
  await bucket.put(packKey(build, artifact), { path: pack, bytes: index.packBytes }, {}, signal);
  await rm(pack);
  const encoded = { path: indexPath(directory, artifact), bytes: entry.index.bytes };
  await bucket.put(indexKey(build, artifact), encoded, {}, signal);
  return { entry, ancestors };
}
