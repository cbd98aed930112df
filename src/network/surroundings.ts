import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { deniedRanges } from "./denied-ranges.ts";

/** What of the host a network depends on. One that was made before it changed is of no use any more. */
export interface Surroundings {
  /** What guests may not reach. */
  readonly denied: readonly string[];
  /** Whether the host leads anywhere itself. */
  readonly uplink: boolean;
  /** Whom the uplink asks for names; it reads that once, as it starts. */
  readonly resolvers: string;
}

export function readSurroundings(): Surroundings {
  const routes = textOf("/proc/net/route");
  const resolvers = textOf("/etc/resolv.conf").match(/^nameserver\s+\S+/gm) ?? [];
  return {
    denied: deniedRanges(networkInterfaces()),
    uplink: hasDefaultRoute(routes),
    resolvers: resolvers.join(),
  };
}

export function sameSurroundings(one: Surroundings, other: Surroundings): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Of the text of /proc/net/route: a line whose destination and mask are both zero. */
export function hasDefaultRoute(routes: string): boolean {
  return routes.split("\n").some((line) => {
    const fields = line.split("\t");
    return fields[1] === "00000000" && fields[7] === "00000000";
  });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
