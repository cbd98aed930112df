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

/** Defaults for fetches: up to about one and a half seconds of waiting. */
export const fetchRetries = { attemptsMax: 5, delayMs: 100, delayMsMax: 2_000 } as const;

/**
 * Tries again if the failure says so (C7). The last failure is thrown; `attemptsOf` tells how often it was tried.
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<T> {
  const attempts = new Attempts(policy);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await attempts.failed(error, signal);
    }
  }
}

/**
 * The attempts at one thing: what to do after each failure (C7). `unavailable` waits, with full jitter and
 * doubling bounds; `corrupt` is tried once at once and then like `unavailable`; anything else ends it.
 */
export class Attempts {
  readonly #policy: RetryPolicy;
  #count = 0;
  #delayMs: number;
  #corruptBefore = false;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
    this.#delayMs = policy.delayMs;
  }

  /** Resolves when the next attempt may begin. Throws the failure when there is to be none. */
  async failed(error: unknown, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { attemptsMax, clock, meter, random } = this.#policy;
    const failure = Failure.from(error);
    const { code } = failure;
    this.#count += 1;
    if ((code !== "unavailable" && code !== "corrupt") || this.#count >= attemptsMax) {
      throw Object.assign(failure, { attempts: this.#count });
    }
    meter.count("larder_retries_total", { kind: code });
    const atOnce = code === "corrupt" && !this.#corruptBefore;
    this.#corruptBefore ||= code === "corrupt";
    if (atOnce) return;
    const delayMs = random.fraction() * this.#delayMs;
    this.#delayMs = Math.min(this.#delayMs * 2, this.#policy.delayMsMax);
    await clock.sleep(delayMs, signal);
  }
}

/** How often it was tried before it was given up with this failure. */
export function attemptsOf(error: unknown): number {
  return error instanceof Failure ? ((error as { attempts?: number }).attempts ?? 1) : 1;
}
