import type { Clock } from "../base/clock.ts";

/**
 * When a sandbox is to end. Kept by the clock that never jumps, so that a corrected wall clock ends nothing early;
 * `endAt` is the same moment for people.
 */
export class Expiry implements Disposable {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #dueAt = 0;
  #endAt = 0;
  #timer: Disposable | undefined;

  /** `endAt` is given when it is known already, to the millisecond. */
  constructor(clock: Clock, timeoutMs: number, onDue: () => void, endAt?: number) {
    this.#clock = clock;
    this.#onDue = onDue;
    this.set(timeoutMs);
    this.#endAt = endAt ?? this.#endAt;
  }

  /** Milliseconds since the epoch. */
  get endAt(): number {
    return this.#endAt;
  }

  /** What is left until the end. */
  get remainingMs(): number {
    return Math.max(0, this.#dueAt - this.#clock.monotonic());
  }

  /** The end is `timeoutMs` from now, sooner or later than it was. */
  set(timeoutMs: number): void {
    this.#dueAt = this.#clock.monotonic() + timeoutMs;
    this.#endAt = Math.round(this.#clock.now() + timeoutMs);
    this.#arm();
  }

  /** The end is at least `timeoutMs` from now. */
  extend(timeoutMs: number): void {
    if (this.#clock.monotonic() + timeoutMs > this.#dueAt) this.set(timeoutMs);
  }

  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    // A timer may fire early: it holds less than 25 days, and rounds.
    this.#timer = this.#clock.after(Math.max(0, this.#dueAt - this.#clock.monotonic()), () => {
      if (this.#clock.monotonic() >= this.#dueAt) this.#onDue();
      else this.#arm();
    });
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }
}
