import type { ImageArtifact } from "../build/artifact.ts";
import type { Standing } from "./question.ts";
import { rankOf } from "./rendezvous.ts";

export interface Group {
  readonly build: string;
  readonly artifact: ImageArtifact;
  readonly group: number;
}

/**
 * Whom to ask for a group: who stands highest above this node among those that lease the build, the owner first, for
 * they let others wait; when nobody does, this node is the owner itself, and asks only those who have it already.
 * Nobody waits for one who stands below, so that no two nodes can wait for each other.
 */
export function choosePeer<Candidate extends { readonly standing: Standing }>(
  candidates: readonly Candidate[],
  self: string,
  { build, artifact, group }: Group,
): Candidate | undefined {
  const own = rankOf(self, build, artifact, group);
  const ranked = candidates
    .map((candidate) => ({ candidate, rank: rankOf(candidate.standing.node, build, artifact, group) }))
    .sort((a, b) => (a.rank < b.rank ? 1 : -1));
  const owner = ranked.find(({ candidate, rank }) => candidate.standing.leases && rank > own);
  const keeper = ranked.find(({ candidate }) => candidate.standing.has[artifact].has(group));
  return (owner ?? keeper)?.candidate;
}
