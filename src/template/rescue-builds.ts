import { Failure } from "../base/failure.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random-id.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { type Manifest, rootDiskBytes } from "../build/manifest.ts";
import { needsBytesMax, needsKey, parseNeeds } from "../build/node-needs.ts";
import { readSmall } from "../build/read-small.ts";
import { readManifests } from "../build/survey-bucket.ts";
import type { NamedTemplate } from "../build/template-card.ts";

/** A snapshot that was made of what a sandbox had when it fell asleep. */
export interface Rescued {
  readonly snapshot: NamedTemplate;
  readonly manifest: Manifest;
}

/** What stands for the sandbox: no more than the build is left of it. */
const unknownSandbox = "lost";
const idLetters = 20;
const nameDigits = 8;

type Sizes = Pick<NamedTemplate["builds"][number], "vcpus" | "memoryBytes">;

export interface RescueOptions {
  readonly bucket: Bucket;
  readonly random: Random;
  /** Builds that a name leads to, with the machines that they are for. */
  readonly named: ReadonlyMap<string, Sizes>;
}

/**
 * What the sandboxes that slept on a lost node were, each as a snapshot with a name: their builds are whole in the
 * bucket, and the list of that node tells which they are. Builds that a name leads to and those that others are layers
 * over are left out. Throws `not_found` when the bucket has no list of such a node.
 */
export async function rescueBuilds(
  { bucket, random, named }: RescueOptions,
  node: string,
  signal: AbortSignal,
): Promise<Rescued[]> {
  const key = needsKey(node);
  const bytes = await readSmall(bucket, key, needsBytesMax, signal).catch((error: unknown) => {
    if (!Failure.is(error, "not_found")) throw error;
    throw new Failure("not_found", `${bucket.name} knows of no node ${node}`);
  });
  const manifests = await readManifests(bucket, parseNeeds(bytes, key).builds, signal);
  const below = new Set(
    [...manifests.values()].flatMap(({ ancestors }) => ancestors.map(({ build }) => build)),
  );
  const parents = await readManifests(bucket, [...below], signal);
  const isWhole = ({ ancestors }: Manifest) =>
    ancestors.length > 0 && ancestors.every(({ build }) => parents.has(build));
  return [...manifests.values()]
    .filter((manifest) => isWhole(manifest) && !below.has(manifest.build) && !named.has(manifest.build))
    .flatMap((manifest) => {
      const sizes = manifest.shape ?? manifest.ancestors.flatMap(({ build }) => named.get(build) ?? [])[0];
      const snapshot = sizes && snapshotOf(manifest, sizes, randomId(random, idLetters));
      return snapshot === undefined ? [] : [{ snapshot, manifest }];
    });
}

function snapshotOf(
  manifest: Manifest,
  { vcpus, memoryBytes }: Sizes,
  templateId: string,
): NamedTemplate | undefined {
  const { build: id, createdAt: madeAt, rootfs, shape } = manifest;
  if (rootfs === undefined) return undefined;
  const createdAt = Date.parse(madeAt);
  const sizes = { vcpus, memoryBytes, diskBytes: rootDiskBytes(manifest) };
  const build = { id, diskBuild: id, recipe: "snapshot", coldBoot: false, ...sizes, createdAt };
  return {
    template: {
      id: templateId,
      name: `lost-${id.slice(0, nameDigits)}`,
      ...{ createdAt, updatedAt: createdAt, snapshotOf: unknownSandbox, named: true },
    },
    tags: [{ tag: "default", diskBuild: id, createdAt }],
    builds: [{ ...build, ...(shape === undefined ? {} : { shape }) }],
  };
}
