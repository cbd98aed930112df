import type { HeldLease } from "./lease.ts";
import { artifactStates } from "./lease.ts";
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
  readonly artifacts?: Readonly<Record<string, string>>;
}

export interface LeaseReport {
  readonly build: string;
  readonly holder: string;
  readonly since: string;
}

interface Reportable {
  readonly leases: ReadonlySet<HeldLease>;
  readonly residence: Residence | undefined;
  readonly usedAt: number;
  readonly bytes: number;
}

export function reportOf(
  entries: ReadonlyMap<string, Reportable>,
  flights: number,
  bytes: CacheReport["bytes"],
  backoffs: CacheReport["backoffs"],
): CacheReport {
  const builds: BuildReport[] = [];
  const leases: LeaseReport[] = [];
  const artifacts: Record<string, number> = {};
  let underWay = flights;
  for (const [build, entry] of entries) {
    const states = entry.residence === undefined ? undefined : artifactStates(entry.residence);
    for (const state of Object.values(states ?? {})) artifacts[state] = (artifacts[state] ?? 0) + 1;
    underWay += entry.residence?.flights ?? 0;
    builds.push({
      build,
      bytes: entry.residence?.keptBytes ?? entry.bytes,
      leases: entry.leases.size,
      usedAt: new Date(entry.usedAt).toISOString(),
      ...(states === undefined ? {} : { artifacts: states }),
    });
    for (const { holder, since } of entry.leases)
      leases.push({ build, holder, since: new Date(since).toISOString() });
  }
  return { builds, leases, flights: underWay, bytes, artifacts, backoffs };
}
