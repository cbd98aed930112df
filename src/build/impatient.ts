import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { ChunkSource } from "./chunk-source.ts";
import type { ObjectSource } from "./object-source.ts";

export interface Patience {
  readonly clock: Clock;
  /** Longest time between two chunks or pieces; then the read fails with `unavailable`. */
  readonly stallMsMax: number;
}

/** Waits no longer than so for the next chunk: a source that stalls is one that failed, and can be asked again. */
export function impatient(source: ChunkSource, patience: Patience): ChunkSource {
  const { name } = source;
  return {
    name,
    read: (request, signal) => hurried((own) => source.read(request, own), name, patience, signal),
  };
}

/** The same for whole objects, piece by piece. */
export function impatientObjects(source: ObjectSource, patience: Patience): ObjectSource {
  const { name } = source;
  return {
    name,
    read: (object, signal) => hurried((own) => source.read(object, own), name, patience, signal),
  };
}

async function* hurried<T>(
  start: (signal: AbortSignal) => AsyncIterable<T>,
  name: string,
  { clock, stallMsMax }: Patience,
  signal: AbortSignal,
): AsyncIterable<T> {
  const stall = new AbortController();
  const either = AbortSignal.any([signal, stall.signal]);
  const iterator = start(either)[Symbol.asyncIterator]();
  const next = async () => {
    using _timer = clock.after(stallMsMax, () =>
      stall.abort(new Failure("unavailable", `${name} gave nothing for ${stallMsMax} ms`)),
    );
    return await abortable(iterator.next(), either);
  };
  try {
    for (let step = await next(); step.done !== true; step = await next()) yield step.value;
  } finally {
    // Whoever stalls may never come to an end: nobody waits for it.
    const ended = iterator.return?.();
    if (either.aborted) ended?.catch(ignore);
    else await ended;
  }
}
