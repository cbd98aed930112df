import type { Clock } from "../base/clock.ts";
import type { Deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";

/** Parts that the time is cut into. */
const parts = 10;

/**
 * A deadline that counts time in which this process runs. One that was kept from running would find its timers over
 * and only then what had arrived long before, and would take a good peer for a silent one: so the time is cut into
 * parts, and between any two of them what has arrived is looked at.
 */
export function wakingDeadline(clock: Clock, ms: number, what: string, parent: AbortSignal): Deadline {
  const late = new AbortController();
  let left = parts;
  let timer: Disposable;
  const next = () => {
    if (left === 0) return late.abort(new Failure("unavailable", `${what} took longer than ${ms} ms`));
    left -= 1;
    timer = clock.after(ms / parts, next);
  };
  next();
  const signal = AbortSignal.any([parent, late.signal]);
  return { signal, [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
