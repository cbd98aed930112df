import { Failure } from "../base/failure.ts";
import type { Chunk, ChunkRequest, ChunkSource } from "./chunk-source.ts";
import { type RetryPolicy, retry } from "./retry.ts";

/** Again if the failure says so; what was read already is not asked for twice. */
export function retried(source: ChunkSource, policy: RetryPolicy): ChunkSource {
  return {
    name: source.name,
    async *read(request, signal) {
      let next = request.firstChunk;
      const end = request.firstChunk + request.count;
      while (next < end) {
        // A new iterator an attempt; the chunk that was got by it is yielded outside of the retry.
        const rest: ChunkRequest = { ...request, firstChunk: next, count: end - next };
        const iterator = await retry(() => started(source, rest, signal), policy, signal);
        try {
          let step = iterator.first;
          if (step.done === true) throw new Failure("corrupt", "a source gave nothing");
          while (step.done !== true) {
            next = step.value.index + 1;
            yield step.value;
            step = await iterator.next();
          }
        } catch (error) {
          if (error !== iterator.broken()) throw error;
        } finally {
          await iterator.close();
        }
      }
    },
  };
}

interface Started {
  readonly first: IteratorResult<Chunk>;
  next(): Promise<IteratorResult<Chunk>>;
  /** The failure that ended it after its first chunk, if one did: the next attempt starts behind what came. */
  broken(): unknown;
  close(): Promise<void>;
}

/** An iterator that has given its first chunk, so that an attempt that gives none is one that failed. */
async function started(source: ChunkSource, request: ChunkRequest, signal: AbortSignal): Promise<Started> {
  const iterator = source.read(request, signal)[Symbol.asyncIterator]();
  let failure: unknown;
  const first = await iterator.next();
  return {
    first,
    next: async () => {
      try {
        return await iterator.next();
      } catch (error) {
        failure = error;
        throw error;
      }
    },
    broken: () => failure,
    close: async () => void (await iterator.return?.()),
  };
}
