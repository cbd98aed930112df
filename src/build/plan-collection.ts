import type { Manifest } from "./manifest.ts";
import type { Survey } from "./survey-bucket.ts";

/** What can be removed, in the order in which to do it: a child before its parents, builds before their inputs. */
export interface CollectionPlan {
  readonly builds: readonly DoomedBuild[];
  readonly blobs: readonly DoomedBlob[];
  /** Everything else that is known of: never to be touched. */
  readonly kept: ReadonlySet<string>;
}

export interface DoomedBuild {
  readonly build: string;
  readonly bytes: number;
  /** Nothing leads to it, or its publish never ended. */
  readonly because: "unreferenced" | "unfinished";
}

/** An input that no build names. */
export interface DoomedBlob {
  readonly digest: string;
  readonly bytes: number;
}

/** The builds that must stay: needed ones, young ones, and in the end all that these refer to. */
export function rootsOf(survey: Survey, needed: ReadonlySet<string>, youngFrom: number): Set<string> {
  const young = [...survey.builds].filter(([, { newestAt }]) => newestAt >= youngFrom);
  return new Set([...needed, ...young.map(([build]) => build)]);
}

/** `manifests`: at least of the roots, and of all that these refer to. */
export function planCollection(
  survey: Survey,
  roots: ReadonlySet<string>,
  manifests: ReadonlyMap<string, Manifest>,
  youngFrom: number,
): CollectionPlan {
  const kept = new Set(roots);
  // What is added is looked at in its turn.
  for (const build of kept)
    for (const ancestor of manifests.get(build)?.ancestors ?? []) kept.add(ancestor.build);
  const inputs = new Set([...kept].flatMap((build) => manifests.get(build)?.inputs ?? []).map(digestOf));
  const doomed = [...survey.builds].filter(([build]) => !kept.has(build));
  // A child is published after its parents: the newest goes first.
  doomed.sort(([, a], [, b]) => (b.publishedAt ?? Infinity) - (a.publishedAt ?? Infinity) || 0);
  const blobs = [...survey.blobs].filter(
    ([digest, { modifiedAt }]) => !inputs.has(digest) && modifiedAt < youngFrom,
  );
  return {
    builds: doomed.map(([build, { bytes, publishedAt }]) => ({
      ...{ build, bytes },
      because: publishedAt === undefined ? "unfinished" : "unreferenced",
    })),
    blobs: blobs.map(([digest, { bytes }]) => ({ digest, bytes })),
    kept,
  };
}

function digestOf({ digest }: { readonly digest: string }): string {
  return digest;
}
