import { setTimeout as delay } from "node:timers/promises";

/** Time as a dependency, so that tests own it. */
export interface Clock {
  /** Milliseconds since the epoch; may jump. For dates that people and stores see. */
  now(): number;
  /** Milliseconds since some fixed moment; never goes back. For durations. */
  monotonic(): number;
  /** Resolves after `ms`, rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms`, unless the timer is disposed of before. */
  after(ms: number, callback: () => void): Disposable;
}

/** A clock's `sleep` by its own `after`, for clocks whose time is not the system's. */
export function sleepBy(clock: Pick<Clock, "after">, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const onAbort = () => {
      timer[Symbol.dispose]();
      reject(signal.reason as Error);
    };
    const timer = clock.after(ms, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** Longest delay that Node's timers take; a longer one would fire at once. */
const timerMsMax = 2 ** 31 - 1;

/** The machine's own clock. Its timers never keep the process alive by themselves. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    signal.throwIfAborted();
    await delay(Math.min(ms, timerMsMax), undefined, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw error;
    });
  },
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.min(ms, timerMsMax));
    timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
