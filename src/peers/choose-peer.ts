import type { ImageArtifact } from "../build/artifact.ts";
import type { Standing } from "./question.ts";
import { rankForInput, rankOf } from "./rendezvous.ts";

export interface Group {
  readonly build: string;
  readonly artifact: ImageArtifact;
  readonly group: number;
}

/** An input of a build, which is fetched whole. */
export interface WholeInput {
  readonly build: string;
  readonly digest: string;
}

/**
 * Whom to ask for a group, or an input: who stands highest above this node among those that lease the build, the owner
 * first, for they let others wait; when nobody does, this node is the owner itself, and asks only those who have it
 * already. Nobody waits for one who stands below, so that no two nodes can wait for each other.
 */
export function choosePeer<Candidate extends { readonly standing: Standing }>(
  candidates: readonly Candidate[],
  self: string,
  wanted: Group | WholeInput,
): Candidate | undefined {
  const own = standsAt(self, wanted);
  const ranked = candidates
    .map((candidate) => ({ candidate, rank: standsAt(candidate.standing.node, wanted) }))
    .sort((a, b) => (a.rank < b.rank ? 1 : -1));
  const owner = ranked.find(
    ({ candidate: { standing }, rank }) => takesShare(standing, wanted) && rank > own,
  );
  const keeper = ranked.find(({ candidate }) => hasIt(candidate.standing, wanted));
  return (owner ?? keeper)?.candidate;
}

function standsAt(node: string, wanted: Group | WholeInput): string {
  if ("digest" in wanted) return rankForInput(node, wanted.digest);
  return rankOf(node, wanted.build, wanted.artifact, wanted.group);
}

/** It fetches its share of what is wanted for others. */
function takesShare({ inputs, leases }: Standing, wanted: Group | WholeInput): boolean {
  return leases && (inputs !== undefined || !("digest" in wanted));
}

function hasIt({ has, inputs }: Standing, wanted: Group | WholeInput): boolean {
  return "digest" in wanted
    ? inputs?.includes(wanted.digest) === true
    : has[wanted.artifact].has(wanted.group);
}
