import assert from "node:assert/strict";
import { type Clock, sleepBy } from "../clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still until the test moves it. Timers fire in the order of their time. */
export class VirtualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now: number;
  #orders = 0;

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  /** Timers that have neither fired nor been disposed of. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return sleepBy(this, ms, signal);
  }

  after(ms: number, callback: () => void): Disposable {
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#orders++, callback };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** Moves the time on by `ms`; after each timer that fires, all promises that can settle do. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.callback();
      await settled();
    }
    this.#now = end;
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (
        first === undefined ||
        timer.at < first.at ||
        (timer.at === first.at && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  }
}

/** Resolves when the promises that wait for nothing but each other have settled. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Longer than a busy machine takes for anything that a test waits for. */
const eventuallyMsMax = 30_000;
const turnsInARow = 500;

/** Lets real files, sockets and processes go on until `condition` holds; fails when it never does. */
export async function eventually(condition: () => boolean): Promise<void> {
  const end = performance.now() + eventuallyMsMax;
  for (let turn = 1; !condition() && performance.now() < end; turn++) {
    await settled();
    // What is waited for may need the processor that this loop would take.
    if (turn % turnsInARow === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.ok(condition(), "what was waited for did not come");
}
