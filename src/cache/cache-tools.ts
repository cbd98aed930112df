import type { Clock } from "../base/clock.ts";
import type { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import type { Artifact } from "../build/artifact.ts";
import { attemptsOf, fetchRetries, type RetryPolicy } from "../build/retry.ts";
import { Backoffs } from "./backoffs.ts";

export interface CacheToolsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** What every part of the cache uses: time, chance, the log, the counters, and the back-offs between flights. */
export class CacheTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly backoffs: Backoffs;

  constructor({ clock, random, logger, meter }: CacheToolsOptions) {
    this.clock = clock;
    this.random = random;
    this.logger = logger;
    this.meter = meter;
    this.backoffs = new Backoffs(clock, random);
  }

  /** How often a flight tries by itself (C7). */
  get retries(): RetryPolicy {
    const { clock, random, meter } = this;
    return { clock, random, meter, ...fetchRetries };
  }

  /** Somebody waits for a flight that another one started (C1). */
  joined(kind: "manifest" | "object" | "chunk" | "image"): void {
    this.meter.count("larder_cache_joined_total", { kind });
  }

  /** Once per failed flight, however many waited for it: one event, one count. */
  reportFailure(
    of: { readonly build: string; readonly artifact: Artifact | "manifest" | "input" },
    object: string,
    failure: Failure,
    started: number,
  ): void {
    const { build, artifact } = of;
    const facts = {
      build,
      artifact,
      object,
      kind: failure.code,
      attempts: attemptsOf(failure),
      durationMs: Math.round(this.clock.monotonic() - started),
      reason: failure.message,
    };
    this.logger.warn(facts, "an artifact could not be fetched");
    this.meter.count("larder_cache_failed_fetches_total", { artifact, kind: failure.code });
  }

  /** The shelf's disk refused a read or a write: the bytes are passed through, and it is tried again next time. */
  diskTrouble(failure: Failure): void {
    this.logger.warn({ reason: failure.message, kind: failure.code }, "the shelf's disk is in trouble");
    this.meter.count("larder_cache_disk_errors_total", { kind: failure.code });
  }
}
