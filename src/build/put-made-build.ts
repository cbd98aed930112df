import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { fileArtifacts, imageArtifacts } from "./artifact.ts";
import { isPublished } from "./is-published.ts";
import { type MadeFiles, realMadeFiles } from "./made-files.ts";
import { type MadeBuild, madeManifestName } from "./make-build.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { fileKey, indexKey, manifestKey, packKey } from "./object-keys.ts";
import { indexPath, packPath } from "./pack-layer.ts";
import { putOnce, type PutTools } from "./put-once.ts";

/**
 * The manifest of a build that was made in `directory`; undefined when it was not finished. Throws what the disk does
 * when that cannot be read: it may be whole all the same.
 */
export async function readMadeManifest(
  directory: string,
  build: string,
  files: Pick<MadeFiles, "read"> = realMadeFiles,
): Promise<Manifest | undefined> {
  const bytes = await files.read(path.join(directory, madeManifestName)).catch((error: unknown) => {
    if (Failure.is(Failure.from(error), "not_found")) return undefined;
    throw error;
  });
  try {
    return bytes && parseManifest(bytes, build);
  } catch (error) {
    if (Failure.is(error, "invalid")) throw error; // a newer version made it
    return undefined;
  }
}

export interface PutMadeBuildOptions extends PutTools {
  readonly bucket: Bucket;
  readonly made: MadeBuild;
  /** Those of the machine's own disk unless said. */
  readonly files?: Pick<MadeFiles, "read" | "size"> | undefined;
}

/**
 * Publishes a build that was made before, the manifest last. Called again after it broke off, it goes on with the
 * object that it broke off at. Its inputs must be there. Throws `not_found` when a build that it refers to is not
 * published (C26).
 */
export async function putMadeBuild(
  { bucket, made, files = realMadeFiles, ...tools }: PutMadeBuildOptions,
  signal: AbortSignal,
): Promise<void> {
  const { manifest, directory } = made;
  const { build, ancestors } = manifest;
  if (await isPublished(bucket, build, signal)) return;
  for (const ancestor of new Set(ancestors.map((each) => each.build))) {
    if (await isPublished(bucket, ancestor, signal)) continue;
    throw new Failure("not_found", `build ${build} is to be published before its parent ${ancestor}`);
  }
  for (const { key, file } of objectsOf(directory, manifest))
    await putOnce(bucket, { key, file, bytes: await files.size(file) }, tools, signal);
  const bytes = await files.read(path.join(directory, madeManifestName));
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
