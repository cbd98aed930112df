import { createHash } from "node:crypto";
import { abortable } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import type { ObjectSource } from "../build/object-source.ts";
import type { CacheTools } from "./cache-tools.ts";
import type { WholeFile } from "./whole-files.ts";

/** Hands the bytes of an object to `take`, piece by piece; throws `corrupt` when they are not what was promised. */
export async function receive(
  { object, objectName, entry }: Pick<WholeFile, "object" | "objectName" | "entry">,
  source: ObjectSource,
  { meter }: CacheTools,
  signal: AbortSignal,
  take: (piece: Uint8Array) => unknown,
): Promise<void> {
  const sum = createHash("sha256");
  let bytes = 0;
  for await (const piece of abortableIterable(source.read(object, signal), signal)) {
    bytes += piece.length;
    if (bytes > entry.bytes) break;
    sum.update(piece);
    await take(piece);
  }
  if (bytes !== entry.bytes) {
    throw new Failure("corrupt", `${objectName} has ${bytes} bytes or more, not ${entry.bytes}`);
  }
  if (sum.digest("hex") !== entry.digest) {
    meter.count("larder_corrupt_chunks_total", { source: source.name });
    throw new Failure("corrupt", `${objectName} is not what its digest says`);
  }
}

/** Iterates no longer than `signal` allows, also over a source that does not listen to it. */
export async function* abortableIterable<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await abortable(iterator.next(), signal);
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
