/**
 * Waits for `promise` no longer than `signal` allows; the work behind it goes on.
 * Rejects with the signal's reason. A late rejection of `promise` is not unhandled.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(ignore); // nobody may be waiting for it any more when it fails
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

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
