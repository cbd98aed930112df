import { Failure } from "../base/failure.ts";
import { sameShape } from "../machine/machine-shape.ts";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import type { SnapshotKeeper } from "./child-builds.ts";
import type { HostShape } from "./choose-build.ts";
import type { LaunchOrder } from "./launcher.ts";

/**
 * How a sandbox that sleeps is woken: with its memory, unless it has none or `reboot` is asked for. Throws `conflict`,
 * with the way out, when its memory was made for another machine.
 */
export async function resumption(
  { id, build, paused }: SandboxRecord,
  reboot: boolean,
  snapshots: Pick<SnapshotKeeper, "shapeOf">,
  host: HostShape,
): Promise<LaunchOrder["how"]> {
  if (reboot || paused?.memory !== true) return "boot";
  const shape = await snapshots.shapeOf(build);
  if (shape === undefined) return "restore";
  const comparison = sameShape(shape, host);
  if (comparison.same) return "restore";
  throw new Failure(
    "conflict",
    `the memory of sandbox '${id}' was made for another machine: ${comparison.reason}; ` +
      "connecting with memory: false (onResume: 'reboot') starts it from its disk",
  );
}
