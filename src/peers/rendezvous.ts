import { hash } from "node:crypto";
import { type ImageArtifact, requestChunksMax } from "../build/artifact.ts";

/** Chunks of one group have one owner: as many neighbours as one request may carry. */
export const groupChunks = requestChunksMax;

/** The group that a chunk belongs to. */
export function groupOf(chunk: number): number {
  return Math.floor(chunk / groupChunks);
}

/**
 * Where a node stands in the order of those who care for a group: highest random weight is first. Every node computes
 * the same order from the names alone, and one that comes or goes moves only its own share. Equal ranks do not occur:
 * the name is part of it.
 */
export function rankOf(node: string, build: string, artifact: ImageArtifact, group: number): string {
  return `${hash("sha256", `${node} ${build} ${artifact} ${group}`)} ${node}`;
}

/** The same for an input of builds, which is fetched whole. */
export function rankForInput(node: string, digest: string): string {
  return `${hash("sha256", `${node} ${digest}`)} ${node}`;
}
