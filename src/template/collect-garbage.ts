import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { checkOwner } from "../build/claim-bucket.ts";
import { deleteBuild } from "../build/delete-build.ts";
import { graceMsMin } from "../build/grace.ts";
import type { Manifest } from "../build/manifest.ts";
import { needsBytesMax, needsKey, needsPrefix, type NodeNeeds, parseNeeds } from "../build/node-needs.ts";
import { blobKey } from "../build/object-keys.ts";
import {
  type CollectionPlan,
  type DoomedBlob,
  type DoomedBuild,
  planCollection,
  rootsOf,
} from "../build/plan-collection.ts";
import { listed } from "../build/put-once.ts";
import { readSmall } from "../build/read-small.ts";
import { allObjects, readManifest, readManifests, surveyBucket } from "../build/survey-bucket.ts";
import { cardBytesMax, cardPrefix, parseCard } from "../build/template-card.ts";

/** What a collection needs to know of a node and may do there. */
export interface CollectorOptions {
  readonly bucket: Bucket;
  /** The id of the store: the bucket of another one is not touched. */
  readonly store: string;
  readonly node: string;
  /** Builds that this node needs, leased and pinned ones included, as it is now. */
  readonly needed: () => Promise<ReadonlySet<string>>;
  readonly shelf: {
    readonly builds: () => readonly { readonly build: string; readonly bytes: number }[];
    /** False when it is leased or pinned, or not there. */
    readonly evict: (build: string) => Promise<boolean>;
  };
  /** The store forgets builds that are gone. */
  readonly forget: (builds: readonly string[]) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface CollectionWish {
  /** Only says what would be removed. */
  readonly dryRun: boolean;
  /** How old what nothing refers to must be. */
  readonly graceMs: number;
  /** Nodes that are no more: what only they needed is not needed. */
  readonly lostNodes: readonly string[];
}

export interface Collection {
  readonly dryRun: boolean;
  readonly builds: readonly DoomedBuild[];
  readonly blobs: readonly DoomedBlob[];
  readonly evicted: readonly { readonly build: string; readonly bytes: number }[];
  /** What was, or would be, freed. */
  readonly freedBytes: { readonly bucket: number; readonly shelf: number };
  readonly keptBuilds: number;
  /** Whose needs were heeded, and when they were told last. */
  readonly nodes: readonly { readonly node: string; readonly writtenAt: number; readonly builds: number }[];
}

/**
 * Removes from bucket and shelf what nothing leads to: builds that no name, no sandbox, no lease, no other build and
 * no other node needs, inputs that no build names, and what publishes that never ended have left. What is younger than
 * the grace time stays: a publish under way may need it. Throws, before anything is removed, when the bucket is
 * another store's, or when one thing that counts cannot be read.
 */
export async function collectGarbage(
  options: CollectorOptions,
  wish: CollectionWish,
  signal: AbortSignal,
): Promise<Collection> {
  const { bucket, clock, shelf } = options;
  if (wish.graceMs < graceMsMin)
    throw new Failure("invalid", `the grace time is at least ${graceMsMin / 60_000} minutes`);
  await checkOwner(bucket, options.store, signal);
  const youngFrom = clock.now() - wish.graceMs;
  const survey = await surveyBucket(bucket, signal);
  const nodes = await otherNodes(options, wish.lostNodes, signal);
  const named = await namedBuilds(bucket, wish.lostNodes, options.node, signal);
  const told = nodes.flatMap(({ builds }) => builds);
  const needed = new Set([...(await options.needed()), ...told, ...named]);
  const roots = rootsOf(survey, needed, youngFrom);
  const manifests = await manifestsFrom(bucket, roots, signal);
  const plan = planCollection(survey, roots, manifests, youngFrom);
  const onShelf = shelf.builds().filter(({ build }) => !plan.kept.has(build));
  const facts = {
    dryRun: wish.dryRun,
    keptBuilds: [...survey.builds.keys()].filter((build) => plan.kept.has(build)).length,
    nodes: nodes.map(({ node, writtenAt, builds }) => ({ node, writtenAt, builds: builds.length })),
  };
  if (wish.dryRun) return { ...facts, ...done(plan, onShelf) };
  for (const node of wish.lostNodes) await bucket.delete(needsKey(node), signal);
  const evicted = [];
  for (const each of onShelf) if (await shelf.evict(each.build)) evicted.push(each);
  const { builds, inputs } = await removeBuilds(options, plan, youngFrom, signal);
  const unnamed = plan.blobs.filter(({ digest }) => !inputs.has(digest));
  const blobs = await removeBlobs(options, unnamed, youngFrom, signal);
  await options.forget(builds.map(({ build }) => build));
  return { ...facts, ...done({ builds, blobs }, evicted) };
}

function done(
  { builds, blobs }: Pick<CollectionPlan, "builds" | "blobs">,
  evicted: readonly { readonly build: string; readonly bytes: number }[],
) {
  const sum = (all: readonly { readonly bytes: number }[]) => all.reduce((sum, { bytes }) => sum + bytes, 0);
  return { builds, blobs, evicted, freedBytes: { bucket: sum(builds) + sum(blobs), shelf: sum(evicted) } };
}

/** What other nodes need, whether they are up or not. */
async function otherNodes(
  { bucket, node: own }: CollectorOptions,
  lost: readonly string[],
  signal: AbortSignal,
): Promise<NodeNeeds[]> {
  const nodes: NodeNeeds[] = [];
  for await (const { key } of allObjects(bucket, needsPrefix, signal)) {
    const needs = parseNeeds(await readSmall(bucket, key, needsBytesMax, signal), key);
    if (needs.node !== own && !lost.includes(needs.node)) nodes.push(needs);
  }
  return nodes;
}

/** What the names lead to that other nodes have told of. */
async function namedBuilds(
  bucket: Bucket,
  lost: readonly string[],
  own: string,
  signal: AbortSignal,
): Promise<string[]> {
  const builds: string[] = [];
  for await (const { key } of allObjects(bucket, cardPrefix, signal)) {
    const card = parseCard(await readSmall(bucket, key, cardBytesMax, signal), key);
    if (card.node !== own && !lost.includes(card.node)) builds.push(...card.builds.map(({ id }) => id));
  }
  return builds;
}

/** The manifests of builds and of all that they refer to. */
async function manifestsFrom(
  bucket: Bucket,
  roots: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Map<string, Manifest>> {
  const manifests = new Map<string, Manifest>();
  let next = [...roots];
  const asked = new Set(next);
  while (next.length > 0) {
    const found = await readManifests(bucket, next, signal);
    for (const [build, manifest] of found) manifests.set(build, manifest);
    const ancestors = [...found.values()].flatMap((each) => each.ancestors.map(({ build }) => build));
    next = [...new Set(ancestors)].filter((build) => !asked.has(build));
    for (const build of next) asked.add(build);
  }
  return manifests;
}

interface Removed {
  readonly builds: readonly DoomedBuild[];
  /** Inputs of builds that were spared in the end. */
  readonly inputs: ReadonlySet<string>;
}

/**
 * Each is looked at once more before it goes: somebody may need it by now, or be publishing it. With one that is
 * spared stays all that it refers to.
 */
async function removeBuilds(
  options: CollectorOptions,
  plan: CollectionPlan,
  youngFrom: number,
  signal: AbortSignal,
): Promise<Removed> {
  const { bucket, needed, shelf, logger } = options;
  const removed: DoomedBuild[] = [];
  const spared = new Set<string>();
  const inputs = new Set<string>();
  for (const doomed of plan.builds) {
    const { build, because, bytes } = doomed;
    const isOnShelf = shelf.builds().some((each) => each.build === build);
    const { objects } = await bucket.list(`builds/${build}/`, {}, signal);
    const isYoung = objects.some(({ modifiedAt }) => modifiedAt >= youngFrom);
    if (isOnShelf || isYoung || spared.has(build) || (await needed()).has(build)) {
      const manifest = await readManifest(bucket, build, signal);
      for (const ancestor of manifest?.ancestors ?? []) spared.add(ancestor.build);
      for (const { digest } of manifest?.inputs ?? []) inputs.add(digest);
      continue;
    }
    await deleteBuild(bucket, build, signal);
    logger.info({ build, because, bytes }, "a build that nothing needs was removed");
    removed.push(doomed);
  }
  return { builds: removed, inputs };
}

async function removeBlobs(
  { bucket, logger }: CollectorOptions,
  blobs: readonly DoomedBlob[],
  youngFrom: number,
  signal: AbortSignal,
): Promise<DoomedBlob[]> {
  const removed: DoomedBlob[] = [];
  for (const doomed of blobs) {
    const { digest, bytes } = doomed;
    const there = await listed(bucket, blobKey(digest), signal);
    // Whoever publishes a build with it puts it again first.
    if (there === undefined || there.modifiedAt >= youngFrom) continue;
    await bucket.delete(blobKey(digest), signal);
    logger.info({ digest, bytes }, "an input that no build names was removed");
    removed.push(doomed);
  }
  return removed;
}
