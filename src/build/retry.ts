import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";

export interface RetryPolicy {
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  /** Attempts in all, the first one included. */
  readonly attemptsMax: number;
  /** Upper bound of the first wait; doubles up to `delayMsMax`. */
  readonly delayMs: number;
  readonly delayMsMax: number;
}

/** Defaults for fetches: up to about three seconds of trying. */
export const fetchRetries = { attemptsMax: 5, delayMs: 100, delayMsMax: 2_000 } as const;

/**
 * Tries again if the failure says so (C7): `unavailable` after a back-off with full jitter, `corrupt` once at once and
 * then like `unavailable`, anything else never. The last failure is thrown, with the number of attempts as
 * its property `attempts`.
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<T> {
  let bound = policy.delayMs;
  let corruptBefore = false;
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      const failure = Failure.from(error);
      const retriable = failure.code === "unavailable" || failure.code === "corrupt";
      if (!retriable || attempts >= policy.attemptsMax) throw Object.assign(failure, { attempts });
      policy.meter.count("larder_retries_total", { kind: failure.code });
      const atOnce = failure.code === "corrupt" && !corruptBefore;
      corruptBefore ||= failure.code === "corrupt";
      if (atOnce) continue;
      await policy.clock.sleep(policy.random.fraction() * bound, signal);
      bound = Math.min(bound * 2, policy.delayMsMax);
    }
  }
}

/** How often `retry` tried before it gave up with this failure. */
export function attemptsOf(error: unknown): number {
  return error instanceof Failure ? ((error as { attempts?: number }).attempts ?? 1) : 1;
}
