import { readdirSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { findByArgument, isAlive } from "../../src/base/processes.ts";
import { markerOf } from "../../src/machine/machine-spec.ts";
import type { Served } from "../machine/testing/served.ts";

interface Row {
  readonly id: string;
  readonly state: string;
  readonly build: string;
  readonly pid: number | null;
  readonly processStart: string | null;
}

interface Remembered {
  readonly sandboxes: readonly Row[];
  /** Of sandboxes. */
  readonly children: readonly { readonly id: string; readonly ancestors: string }[];
  /** Of templates and snapshots. */
  readonly builds: readonly string[];
}

/** In which points a daemon's store, its machines and its disk say different things; one sentence each. */
export async function disagreements(served: Served): Promise<string[]> {
  const remembered = remember(served.data);
  return [
    ...(await aboutMachines(remembered)),
    ...aboutBuilds(remembered, served.data),
    ...(await aboutLeases(remembered, served)),
  ];
}

function remember(data: string): Remembered {
  using database = new DatabaseSync(path.join(data, "larder.db"), { readOnly: true });
  const all = (sql: string) => database.prepare(sql).all() as unknown[];
  return {
    sandboxes: all("select id, state, build, pid, processStart from sandboxes") as Row[],
    children: all("select id, ancestors from childBuilds") as Remembered["children"],
    builds: (all("select id from builds") as { id: string }[]).map(({ id }) => id),
  };
}

async function aboutMachines({ sandboxes }: Remembered): Promise<string[]> {
  const found: string[] = [];
  for (const { id, state, pid, processStart } of sandboxes) {
    const machines = await findByArgument(markerOf(id));
    const noted = pid !== null && processStart !== null && isAlive({ pid, startTime: processStart });
    if (state === "running") {
      if (!noted) found.push(`${id} runs, and its process is not there`);
    } else if (state === "paused") {
      if (machines.length > 0) found.push(`${id} sleeps, and has a machine`);
    } else found.push(`${id} is ${state} still`);
  }
  return found;
}

function aboutBuilds({ sandboxes, children, builds }: Remembered, data: string): string[] {
  const needed = new Set([...sandboxes.map(({ build }) => build), ...builds]);
  for (const { id, ancestors } of children)
    if (needed.has(id)) for (const each of JSON.parse(ancestors) as string[]) needed.add(each);
  const known = new Set([...children.map(({ id }) => id), ...builds]);
  const inBucket = namesIn(path.join(data, "bucket/builds"));
  return [
    ...children.filter(({ id }) => !needed.has(id)).map(({ id }) => `nothing needs ${id}, which is noted`),
    ...[...needed].filter((id) => !inBucket.includes(id)).map((id) => `the bucket does not have ${id}`),
    ...inBucket.filter((id) => !known.has(id)).map((id) => `the bucket has ${id}, which is not noted`),
    ...namesIn(path.join(data, "shelf/builds"))
      .filter((id) => !known.has(id))
      .map((id) => `the shelf has ${id}, which is not noted`),
    ...namesIn(path.join(data, "unpublished")).map((id) => `${id} waits for its publication`),
  ];
}

/** Who sleeps has none. */
async function aboutLeases({ sandboxes }: Remembered, served: Served): Promise<string[]> {
  if (sandboxes.some(({ state }) => state !== "paused")) return [];
  const leases = await served.metric("larder_cache_leases");
  return leases === 0 ? [] : [`nothing runs, and there are ${leases} leases`];
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
