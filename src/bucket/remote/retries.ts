import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import type { Meter } from "../../base/meter.ts";
import type { Random } from "../../base/random.ts";

export interface RetryLimits {
  /** Attempts at one thing, the first one included. */
  readonly attemptsMax: number;
  /** Upper bound of the first wait; doubles up to `delayMsMax`. The wait is a random part of the bound. */
  readonly delayMs: number;
  readonly delayMsMax: number;
  /** Retries that may be taken when nothing has succeeded for long. */
  readonly budgetMax: number;
  /** What a success adds to the budget. */
  readonly earned: number;
}

export const usualRetries: RetryLimits = {
  ...{ attemptsMax: 4, delayMs: 100, delayMsMax: 3_000, budgetMax: 40, earned: 0.2 },
};

export interface RetriesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  readonly limits: RetryLimits;
}

/**
 * Tries again what was `unavailable`, while the budget lasts that all requests to one bucket share: when most of
 * them fail, to try each one again would only add to what keeps the bucket down.
 */
export class Retries {
  readonly #options: RetriesOptions;
  #budget: number;

  constructor(options: RetriesOptions) {
    this.#options = options;
    this.#budget = options.limits.budgetMax;
  }

  async run<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const tries = this.begin();
    for (;;) {
      try {
        const result = await attempt();
        tries.succeeded();
        return result;
      } catch (error) {
        await tries.failed(error, signal);
      }
    }
  }

  /** For what cannot be told as one function. */
  begin(): Tries {
    const { clock, limits, meter, random } = this.#options;
    let [count, delayMs] = [1, limits.delayMs];
    return {
      succeeded: () => {
        this.#budget = Math.min(limits.budgetMax, this.#budget + limits.earned);
        [count, delayMs] = [1, limits.delayMs];
      },
      failed: async (error, signal) => {
        signal.throwIfAborted();
        if (!Failure.is(error, "unavailable") || count >= limits.attemptsMax || this.#budget < 1) throw error;
        this.#budget -= 1;
        count += 1;
        meter.count("larder_bucket_retries_total");
        const waitMs = random.fraction() * delayMs;
        delayMs = Math.min(2 * delayMs, limits.delayMsMax);
        await clock.sleep(waitMs, signal);
      },
    };
  }
}

/** The tries at one thing. */
export interface Tries {
  /** It is done, or a good part of it: what follows begins to count anew. */
  succeeded(): void;
  /** Resolves when it may be tried again; throws the failure when it may not. */
  failed(error: unknown, signal: AbortSignal): Promise<void>;
}
