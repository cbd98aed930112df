import { readFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { fileArtifacts, imageArtifacts } from "./artifact.ts";
import { isPublished } from "./is-published.ts";
import { madeManifestName } from "./make-build.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { fileKey, indexKey, manifestKey, packKey } from "./object-keys.ts";
import { indexPath, packPath } from "./pack-layer.ts";
import { putOnce, type PutTools } from "./put-once.ts";

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
 * Publishes a build that was made before, the manifest last. Called again after it broke off, it goes on with the
 * object that it broke off at. Its inputs must be there. Throws `not_found` when a build that it refers to is not
 * published (C26).
 */
export async function putMadeBuild(
  bucket: Bucket,
  directory: string,
  manifest: Manifest,
  tools: PutTools,
  signal: AbortSignal,
): Promise<void> {
  const { build, ancestors } = manifest;
  if (await isPublished(bucket, build, signal)) return;
  for (const ancestor of new Set(ancestors.map((each) => each.build))) {
    if (await isPublished(bucket, ancestor, signal)) continue;
    throw new Failure("not_found", `build ${build} is to be published before its parent ${ancestor}`);
  }
  for (const object of objectsOf(directory, manifest)) await putOnce(bucket, object, tools, signal);
  const bytes = await readFile(path.join(directory, madeManifestName));
  try {
    await bucket.put(manifestKey(build), bytes, { ifNoneMatch: "*" }, signal);
  } catch (error) {
    // An answer that was lost: what was put is there.
    if (!Failure.is(error, "conflict")) throw error;
  }
}

/** What is put before the manifest: each key, and the file that it gets. */
function objectsOf(directory: string, manifest: Manifest): { readonly key: string; readonly file: string }[] {
  const { build } = manifest;
  const images = imageArtifacts.filter((artifact) => manifest[artifact] !== undefined);
  const files = fileArtifacts.filter((artifact) => manifest[artifact] !== undefined);
  return [
    ...images.flatMap((artifact) => [
      { key: packKey(build, artifact), file: packPath(directory, artifact) },
      { key: indexKey(build, artifact), file: indexPath(directory, artifact) },
    ]),
    ...files.map((artifact) => ({ key: fileKey(build, artifact), file: path.join(directory, artifact) })),
  ];
}
