import type { Logger } from "../base/logger.ts";
import type { Host } from "./host.ts";

/** Tells what bounds virtual machines here. What is not bounded is never passed over in silence. */
export function sayBounds({ bounds: { groups, device } }: Pick<Host, "bounds">, logger: Logger): void {
  const noDisk = device === undefined && groups.bounded.includes("io");
  const unbounded = noDisk ? [...groups.unbounded, "io"] : groups.unbounded;
  const facts = { groups: groups.describe(), unbounded };
  if (unbounded.length === 0) logger.info(facts, "virtual machines are bounded by control groups");
  else
    logger.warn(
      facts,
      "virtual machines are not bounded in everything; 'larder doctor' says what would help",
    );
}
