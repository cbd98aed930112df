/**
 * Waits for `promise` no longer than `signal` allows; the work behind it goes on.
 * Rejects with the signal's reason. A late rejection of `promise` is not unhandled.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // By hand, for its cost: a hundred thousand may wait for one promise, each with a signal of its own.
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    promise.then(
      (value) => {
        signal.removeEventListener("abort", onAbort);
        resolve(value);
      },
      (error: unknown) => {
        signal.removeEventListener("abort", onAbort);
        reject(error as Error); // nobody may be waiting any more: then it goes unheard
      },
    );
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, onceOnly);
  });
}

const onceOnly = { once: true };

/**
 * Waits like `abortable`, for a promise whose value must be given back when nobody takes it:
 * if the signal wins, `giveBack` is called with the value as soon as there is one.
 */
export async function abortableOrGivenBack<T>(
  promise: Promise<T>,
  giveBack: (value: T) => Promise<void> | void,
  signal: AbortSignal,
): Promise<T> {
  try {
    return await abortable(promise, signal);
  } catch (error) {
    if (signal.aborted) void promise.then(giveBack).catch(ignore);
    throw error;
  }
}

/** For rejections that somebody else has already been told of. */
export function ignore(): void {}
