import { Failure } from "../base/failure.ts";
import type { Bucket, ListedObject } from "../bucket/bucket.ts";
import { isBuildId, type Manifest, manifestBytesMax, parseManifest } from "./manifest.ts";
import { manifestKey } from "./object-keys.ts";
import { readSmall } from "./read-small.ts";

/** All that lies under one build's name. */
export interface SurveyedBuild {
  readonly bytes: number;
  /** When the newest object of it was put. */
  readonly newestAt: number;
  /** Undefined when the build is not published. */
  readonly publishedAt: number | undefined;
}

export interface SurveyedBlob {
  readonly bytes: number;
  readonly modifiedAt: number;
}

/** Builds by id, inputs by digest. */
export interface Survey {
  readonly builds: ReadonlyMap<string, SurveyedBuild>;
  readonly blobs: ReadonlyMap<string, SurveyedBlob>;
}

const buildPrefix = "builds/";
const blobPrefix = "blobs/sha256/";
/** Manifests that are read at once. */
const readsMax = 16;

/** What a bucket holds. Names that are no builds' and no digests are left out: nothing is known of them. */
export async function surveyBucket(bucket: Bucket, signal: AbortSignal): Promise<Survey> {
  const builds = new Map<string, SurveyedBuild>();
  for await (const { key, bytes, modifiedAt } of allObjects(bucket, buildPrefix, signal)) {
    const build = key.slice(buildPrefix.length).split("/", 1)[0] ?? "";
    if (!isBuildId(build)) continue;
    const known = builds.get(build) ?? { bytes: 0, newestAt: 0, publishedAt: undefined };
    builds.set(build, {
      bytes: known.bytes + bytes,
      newestAt: Math.max(known.newestAt, modifiedAt),
      publishedAt: key === manifestKey(build) ? modifiedAt : known.publishedAt,
    });
  }
  const blobs = new Map<string, SurveyedBlob>();
  for await (const { key, bytes, modifiedAt } of allObjects(bucket, blobPrefix, signal)) {
    const digest = key.slice(blobPrefix.length);
    if (/^[0-9a-f]{64}$/.test(digest)) blobs.set(digest, { bytes, modifiedAt });
  }
  return { builds, blobs };
}

/** Every object with a prefix, page by page. */
export async function* allObjects(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ListedObject> {
  let after: string | undefined = "";
  while (after !== undefined) {
    const page = await bucket.list(prefix, { after }, signal);
    yield* page.objects;
    after = page.next;
  }
}

/** The manifests of builds, by id; without those that are not published. Throws when one cannot be understood. */
export async function readManifests(
  bucket: Bucket,
  builds: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, Manifest>> {
  const manifests = new Map<string, Manifest>();
  for (let at = 0; at < builds.length; at += readsMax) {
    const some = builds.slice(at, at + readsMax);
    const found = await Promise.all(some.map((build) => readManifest(bucket, build, signal)));
    for (const manifest of found) if (manifest !== undefined) manifests.set(manifest.build, manifest);
  }
  return manifests;
}

/** Undefined when there is no such build. */
export async function readManifest(
  bucket: Bucket,
  build: string,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  try {
    return parseManifest(await readSmall(bucket, manifestKey(build), manifestBytesMax, signal), build);
  } catch (error) {
    if (Failure.is(error, "not_found")) return undefined;
    throw error;
  }
}
