import { abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Random } from "../base/random.ts";

/** First pause between two flights for an object that failed, and the longest (C7). */
const pauseMs = 100;
const pauseMsMax = 5_000;
/** Objects whose failures are remembered; the oldest memory goes first. */
const objectsMax = 10_000;

interface Backoff {
  readonly pauseMs: number;
  readonly until: number;
  readonly kind: string;
  /** Resolved when an operator or a success clears it. */
  readonly cleared: PromiseWithResolvers<void>;
}

/**
 * How long each object is left alone after its flight has failed. Flights wait here before they set out;
 * those who wait for them never get the old error.
 */
export class Backoffs {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #objects = new Map<string, Backoff>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** True while `object` is left alone. */
  isActive(object: string): boolean {
    return (this.#objects.get(object)?.until ?? 0) > this.#clock.monotonic();
  }

  /** Resolves when `object` may be asked for again. */
  async wait(object: string, signal: AbortSignal): Promise<void> {
    const backoff = this.#objects.get(object);
    const rest = (backoff?.until ?? 0) - this.#clock.monotonic();
    if (backoff === undefined || rest <= 0) return;
    const woken = new AbortController();
    const sleep = this.#clock.sleep(rest, AbortSignal.any([signal, woken.signal]));
    try {
      await abortable(Promise.race([sleep, backoff.cleared.promise]), signal);
    } finally {
      woken.abort();
      sleep.catch(() => {});
    }
  }

  /** The next flight waits: 100 ms at first, twice as long each time, at most 5 s, with jitter. */
  failed(object: string, failure: Failure): void {
    const before = this.#objects.get(object);
    const bound = Math.min(before === undefined ? pauseMs : before.pauseMs * 2, pauseMsMax);
    const until = this.#clock.monotonic() + bound * (0.5 + this.#random.fraction() / 2);
    this.#objects.delete(object);
    const cleared = Promise.withResolvers<void>();
    this.#objects.set(object, { pauseMs: bound, until, kind: failure.code, cleared });
    const [oldest] = this.#objects.keys();
    if (this.#objects.size > objectsMax && oldest !== undefined) this.clear(oldest);
  }

  clear(object: string): void {
    this.#objects.get(object)?.cleared.resolve();
    this.#objects.delete(object);
  }

  clearAll(): number {
    const count = this.#objects.size;
    for (const object of this.#objects.keys()) this.clear(object);
    return count;
  }

  list(): { object: string; kind: string; msLeft: number }[] {
    const now = this.#clock.monotonic();
    return [...this.#objects].map(([object, { kind, until }]) => ({
      object,
      kind,
      msLeft: Math.max(0, until - now),
    }));
  }
}
