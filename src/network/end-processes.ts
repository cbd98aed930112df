import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { killByIdentity, type ProcessIdentity } from "../base/processes.ts";

/** How long killed processes may take to be gone, and how often they are looked at. */
const endMsMax = 5_000;
const pollMs = 2;

/** Kills what `find` finds until it finds nothing. Throws `unavailable` when the kernel does not let go of them. */
export async function endProcesses(find: () => Promise<ProcessIdentity[]>, clock: Clock): Promise<void> {
  using patience = deadline(clock, endMsMax, "ending the processes of a network");
  for (;;) {
    const left = await find();
    if (left.length === 0) return;
    for (const each of left) killByIdentity(each);
    await clock.sleep(pollMs, patience.signal);
  }
}
