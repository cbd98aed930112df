import { writeFile } from "node:fs/promises";
import type { ControlGroups, MachineGroup } from "../machine/control-groups.ts";
import { limitsFor } from "../machine/group-limits.ts";
import type { StartOrder } from "./launcher.ts";

export interface Bounds {
  readonly groups: Pick<ControlGroups, "make" | "retake">;
  /** `MAJOR:MINOR` of the disk that sandboxes' files lie on, where there is one. */
  readonly device: string | undefined;
}

/** The group of a sandbox's machine: a fresh one, or the one that a machine which has run on is in. */
export async function groupFor(
  order: StartOrder,
  bounds: Bounds | undefined,
): Promise<MachineGroup | undefined> {
  if (order.left !== undefined) return bounds?.groups.retake(order.id);
  return bounds?.groups.make(order.id, limitsFor(order, bounds.device));
}

/** Puts a process into a group. One that has ended already need not be bounded. */
export async function join(pid: number, { processFiles }: MachineGroup): Promise<void> {
  for (const file of processFiles) {
    await writeFile(file, String(pid)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ESRCH") throw error;
    });
  }
}
