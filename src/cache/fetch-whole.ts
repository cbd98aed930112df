import { Failure } from "../base/failure.ts";
import { requestChunksMax } from "../build/artifact.ts";
import type { ChunkFetcher } from "./chunk-fetcher.ts";
import type { ChunkFile } from "./chunk-file.ts";
import type { Room } from "./room.ts";

/** Requests under way at once for a file that must be whole. */
const requestsMax = 4;

/**
 * Brings every chunk of a file to the shelf. The room for all that is missing is reserved before the first of it is
 * fetched, so that two files that do not both fit cannot each hold half of it for ever (C18).
 * Throws `exhausted` when there is no room for it in time, or the disk does not take it.
 */
export async function fetchWhole(
  file: ChunkFile,
  fetcher: ChunkFetcher,
  room: Pick<Room, "reserveLarge">,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  // What is left of a former run is verified first: it takes no room, unless it turns out to be bad.
  await together(
    numbers(file, (chunk) => file.isSuspect(chunk)),
    (chunk, s) => fetcher.checker.check(chunk, s),
    signal,
  );
  const missing = numbers(file, (chunk) => !file.isAtHand(chunk));
  const bytes = missing.reduce((sum, chunk) => sum + file.index.chunk(chunk).bytes, 0);
  using reserved = await room.reserveLarge(bytes, what, signal);
  const bring = async (chunk: number, either: AbortSignal) => {
    const passedThrough = await fetcher.want(chunk, either, { reserved });
    if (passedThrough === undefined) return;
    throw new Failure("exhausted", `${what} needs ${bytes} bytes, and the shelf's disk does not take them`);
  };
  await together(missing, bring, signal);
}

/** Bytes of the chunks that are not on the shelf. */
export function missingBytes(file: ChunkFile): number {
  const missing = numbers(file, (chunk) => !file.isAtHand(chunk) && !file.isSuspect(chunk));
  return missing.reduce((sum, chunk) => sum + file.index.chunk(chunk).bytes, 0);
}

function numbers(file: ChunkFile, matches: (chunk: number) => boolean): number[] {
  const chunks: number[] = [];
  for (let chunk = 0; chunk < file.index.chunkCount; chunk++) if (matches(chunk)) chunks.push(chunk);
  return chunks;
}

/** Does something for each chunk, many at a time; the first failure ends the others' waits. */
async function together(
  chunks: readonly number[],
  work: (chunk: number, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let next = 0;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const worker = async () => {
    for (let at = next++; at < chunks.length; at = next++) await work(chunks[at] ?? 0, either);
  };
  const workers = Array.from({ length: Math.min(requestsMax * requestChunksMax, chunks.length) }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    failed.abort(new Failure("cancelled", "another chunk of the file failed"));
    await Promise.allSettled(workers);
    throw error;
  }
}
