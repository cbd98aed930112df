import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";

/** How long a newcomer waits for a flight that was aborted (C4). */
const dyingMsMax = 100;

/**
 * Waits until a dying flight has come down, within a bound: one that hangs, in a disk that does not answer, must not
 * hold up those who come after it. It may write nothing any more. Rejects only when `signal` aborts.
 */
export async function comeDown(down: Promise<unknown>, clock: Clock, signal: AbortSignal): Promise<void> {
  const patience = Promise.withResolvers<void>();
  using _timer = clock.after(dyingMsMax, () => patience.resolve());
  await abortable(Promise.race([down.then(ignore, ignore), patience.promise]), signal);
}
