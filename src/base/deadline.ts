import type { Clock } from "./clock.ts";
import { Failure } from "./failure.ts";

/** A signal that aborts with `unavailable` after `ms`, or with the reason of `parent` before that. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** Deadlines belong to the edges: a function that is handed a signal makes none of its own. */
export function deadline(clock: Clock, ms: number, what: string, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const timer = clock.after(ms, () =>
    controller.abort(new Failure("unavailable", `${what} took longer than ${ms} ms`)),
  );
  const signal = parent === undefined ? controller.signal : AbortSignal.any([parent, controller.signal]);
  return { signal, [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
