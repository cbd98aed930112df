import { type Artifact, fileArtifacts, imageArtifacts } from "../build/artifact.ts";
import type { Entry } from "./entry.ts";
import type { Residence } from "./residence.ts";

/** What the cache has and does, as a plain value for operators. */
export interface CacheReport {
  readonly builds: readonly BuildReport[];
  readonly leases: readonly LeaseReport[];
  readonly flights: number;
  readonly bytes: { readonly kept: number; readonly reserved: number; readonly budget: number };
  /** How many artifacts are in each state. */
  readonly artifacts: Readonly<Record<string, number>>;
  readonly backoffs: readonly { readonly object: string; readonly kind: string; readonly msLeft: number }[];
}

export interface BuildReport {
  readonly build: string;
  readonly bytes: number;
  readonly leases: number;
  readonly usedAt: string;
  readonly pinned: boolean;
  readonly artifacts: Readonly<Record<string, string>>;
}

export interface LeaseReport {
  readonly build: string;
  readonly holder: string;
  /** Where in the program it was taken: `folder/file.ts:line`. */
  readonly where: string;
  readonly since: string;
}

export function reportOf(
  entries: ReadonlyMap<string, Entry>,
  flights: number,
  bytes: CacheReport["bytes"],
  backoffs: CacheReport["backoffs"],
): CacheReport {
  const builds: BuildReport[] = [];
  const leases: LeaseReport[] = [];
  const artifacts: Record<string, number> = {};
  let underWay = flights;
  for (const [build, entry] of entries) {
    const report = buildReportOf(build, entry);
    for (const state of Object.values(report.artifacts)) artifacts[state] = (artifacts[state] ?? 0) + 1;
    underWay += entry.residence.flights;
    builds.push(report);
    leases.push(...leaseReportsOf(build, entry));
  }
  return { builds, leases, flights: underWay, bytes, artifacts, backoffs };
}

export function buildReportOf(build: string, { residence, usedAt, pinned, leases }: Entry): BuildReport {
  return {
    build,
    bytes: residence.bytes,
    leases: leases.size,
    usedAt: new Date(usedAt).toISOString(),
    pinned,
    artifacts: artifactStates(residence),
  };
}

export function leaseReportsOf(build: string, { leases }: Entry): LeaseReport[] {
  return Array.from(leases, ({ holder, where, since }) => ({
    ...{ build, holder, where, since: new Date(since).toISOString() },
  }));
}

function artifactStates(residence: Residence): Record<Artifact, string> {
  const states = [...imageArtifacts, ...fileArtifacts];
  return Object.fromEntries(states.map((artifact) => [artifact, residence.stateOf(artifact)])) as Record<
    Artifact,
    string
  >;
}
