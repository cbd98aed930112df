import type { Clock } from "../../base/clock.ts";
import { isAlive, type ProcessIdentity } from "../../base/processes.ts";
import type { Exit, Spawned } from "./spawn.ts";

/** How often one looks whether it still runs: it is another's child. */
const pollMs = 500;

/**
 * A process whose agent has died. It can be listed and ended, and its end is noticed; what it reads and writes has
 * gone with that agent, and so has the way to learn how it ends.
 */
export function leftSpawned(identity: ProcessIdentity, clock: Clock): Spawned {
  const exited = new Promise<Exit>((resolve) => {
    const look = () => {
      if (isAlive(identity)) clock.after(pollMs, look);
      else resolve({ code: null, signal: null });
    };
    look();
  });
  return { pid: identity.pid, outputs: [], exited, isLeft: true };
}
