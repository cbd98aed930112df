/**
 * Does all of `tasks` at once and resolves with their results. When one fails the others are aborted; rejects with the
 * first failure only after all have settled, so that what they took is in the hands of who gives it back.
 */
export async function together<Results extends readonly unknown[]>(
  tasks: { readonly [Index in keyof Results]: (signal: AbortSignal) => Promise<Results[Index]> },
  signal: AbortSignal,
): Promise<Results> {
  const siblings = new AbortController();
  const either = AbortSignal.any([signal, siblings.signal]);
  const begun = tasks.map(async (task) => {
    try {
      return await task(either);
    } catch (error) {
      siblings.abort(error); // The first one counts: a controller aborts only once.
      throw error;
    }
  });
  const settled = await Promise.allSettled(begun);
  if (siblings.signal.aborted) throw siblings.signal.reason;
  return settled.map((each) => (each as PromiseFulfilledResult<unknown>).value) as unknown as Results;
}
