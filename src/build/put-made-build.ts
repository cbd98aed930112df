import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { fileArtifacts, imageArtifacts } from "./artifact.ts";
import { isPublished } from "./is-published.ts";
import { madeManifestName } from "./make-build.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { fileKey, indexKey, manifestKey, packKey } from "./object-keys.ts";
import { indexPath, packPath } from "./pack-layer.ts";

/** The manifest of a build that was made in `directory`; undefined when it was not finished. */
export async function readMadeManifest(directory: string, build: string): Promise<Manifest | undefined> {
  try {
    return parseManifest(await readFile(path.join(directory, madeManifestName)), build);
  } catch (error) {
    if (Failure.is(error, "invalid")) throw error; // a newer version made it
    return undefined;
  }
}

/**
 * Publishes a build that was made before, the manifest last. May be called again after it broke off, wherever that
 * was. Throws `not_found` when a build that it refers to is not published (C26).
 */
export async function putMadeBuild(
  bucket: Bucket,
  directory: string,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> {
  const { build, ancestors } = manifest;
  if (await isPublished(bucket, build, signal)) return;
  for (const ancestor of new Set(ancestors.map((each) => each.build))) {
    if (await isPublished(bucket, ancestor, signal)) continue;
    throw new Failure("not_found", `build ${build} is to be published before its parent ${ancestor}`);
  }
  for (const artifact of imageArtifacts) {
    if (manifest[artifact] === undefined) continue;
    await putFile(bucket, packKey(build, artifact), packPath(directory, artifact), signal);
    await putFile(bucket, indexKey(build, artifact), indexPath(directory, artifact), signal);
  }
  for (const artifact of fileArtifacts) {
    if (manifest[artifact] === undefined) continue;
    await putFile(bucket, fileKey(build, artifact), path.join(directory, artifact), signal);
  }
  const bytes = await readFile(path.join(directory, madeManifestName));
  try {
    await bucket.put(manifestKey(build), bytes, { ifNoneMatch: "*" }, signal);
  } catch (error) {
    // An answer that was lost: what was put is there.
    if (!Failure.is(error, "conflict")) throw error;
  }
}

async function putFile(bucket: Bucket, key: string, file: string, signal: AbortSignal): Promise<void> {
  const { size: bytes } = await stat(file);
  await bucket.put(key, { path: file, bytes }, {}, signal);
}
