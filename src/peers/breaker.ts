import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Random } from "../base/random.ts";

export interface BreakerOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** How long it stays open after the first failure; doubles with each one up to the next limit. */
  readonly openMs: number;
  readonly openMsMax: number;
}

/**
 * Whether a peer is worth asking.
 *
 *   closed ──failed──▶ open ──time over──▶ half-open (one probe) ──passed──▶ closed
 *                        ▲──────failed────────────┘
 *
 * One failure is enough: its reader has waited for it, and no other shall (C24). How long it stays open is forgotten
 * only when the peer has proved itself: one that answers probes and lies about chunks is asked ever more seldom.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #state: "closed" | "open" | "half-open" = "closed";
  #openUntil = 0;
  #lied = false;
  #openMs: number;
  #closed = new AbortController();

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#openMs = options.openMs;
  }

  get state(): "closed" | "open" | "half-open" {
    return this.#state;
  }

  /** Aborts when the breaker opens: everybody else who waits for the peer goes on without it. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  /** True for the one who may find out whether the peer is back. */
  tryProbe(): boolean {
    if (this.#state !== "open" || this.#options.clock.monotonic() < this.#openUntil) return false;
    this.#state = "half-open";
    return true;
  }

  /** There is reason to think that it is back: it may be probed at once, unless it has lied. */
  hurry(): void {
    if (!this.#lied) this.#openUntil = 0;
  }

  /** The probe came back well. */
  passed(): void {
    if (this.#state !== "half-open") return;
    this.#state = "closed";
    this.#closed = new AbortController();
  }

  /** The peer gave what was verified. */
  proved(): void {
    this.#openMs = this.#options.openMs;
  }

  /** True when this is what opened it. A lie is no weather: it opens for the longest time at once. */
  failed(how: "fault" | "lie" = "fault"): boolean {
    if (this.#state === "open") return false;
    const { clock, random, openMsMax } = this.#options;
    this.#state = "open";
    this.#lied = how === "lie";
    if (this.#lied) this.#openMs = openMsMax;
    this.#openUntil = clock.monotonic() + this.#openMs * (0.5 + random.fraction() / 2);
    this.#openMs = Math.min(this.#openMs * 2, openMsMax);
    this.#closed.abort(new Failure("unavailable", "the peer is not asked for now"));
    return true;
  }
}
