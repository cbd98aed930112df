import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { removeNetwork } from "../network/remains.ts";
import { markerOf } from "../machine/machine-spec.ts";
import { findByArgument, isAlive, killByIdentity } from "../base/processes.ts";
import { notedNetwork } from "./guest-network.ts";
import type { ProcessIdentity, Remains } from "./launcher.ts";
import { removePlaces } from "./places.ts";

/** How long a process may take to end once it was killed, and how often it is looked at. */
const endMsMax = 5_000;
const pollMs = 5;

/** Ends and removes whatever is left of a sandbox. Throws `unavailable` when a process does not end. */
export async function reap(remains: Remains, clock: Clock): Promise<void> {
  using patience = deadline(clock, endMsMax, `ending what is left of sandbox '${remains.id}'`);
  for (;;) {
    const left = await processesOf(remains);
    if (left.length === 0) break;
    for (const process of left) killByIdentity(process);
    await clock.sleep(pollMs, patience.signal);
  }
  await removeNetworkOf(remains, clock);
  await removePlaces(remains);
}

async function removeNetworkOf({ socketDirectory }: Remains, clock: Clock): Promise<void> {
  const name = notedNetwork({ socketDirectory });
  if (name !== undefined) await removeNetwork(path.join(path.dirname(socketDirectory), name), clock);
}

/** By what their command line says too: a daemon that was killed early has noted none. */
async function processesOf({ id, process }: Remains): Promise<ProcessIdentity[]> {
  const marked = await findByArgument(markerOf(id));
  return process !== undefined && isAlive(process) ? [process, ...marked] : marked;
}
