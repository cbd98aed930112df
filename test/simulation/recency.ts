import type { BuildReport } from "../../src/cache/report.ts";
import type { Node } from "./node.ts";
import type { Watch } from "./watch.ts";

/** How long it may take until the journal knows of a use. */
const settledMs = 1_000;

/** What a process knew of the builds on its shelf when it ended. */
export interface Recency {
  readonly at: number;
  readonly builds: readonly BuildReport[];
}

export function recencyOf(node: Node): Recency {
  return { at: node.clock.now(), builds: node.cache.inspect().builds };
}

/** C17: what was used when is known across a restart; what was leased when all ended counts as used then. */
export function checkRecency(watch: Watch, node: Node, before: Recency): void {
  for (const { build, usedAt, leases } of before.builds) {
    const used = node.usedAt(build);
    if (used === undefined) continue;
    const was = Date.parse(usedAt);
    if (leases === 0 && was < before.at - settledMs && used !== was)
      watch.violate(
        `C17: ${build} was used ${before.at - was} ms before the end, and now ${before.at - used} ms`,
      );
    if (leases > 0 && was < before.at - settledMs && used < was)
      watch.violate(`C17: ${build} was in use at the end, and counts as used ${before.at - used} ms before`);
  }
}
