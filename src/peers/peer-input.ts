import { createHash } from "node:crypto";
import { Failure } from "../base/failure.ts";
import type { Meter } from "../base/meter.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { BlobName } from "../build/object-source.ts";
import { type PeerAsking, peerFrames } from "./peer-frames.ts";

/**
 * An input from one peer. Only its end is known to be good: then all of it was what its digest says. Throws as
 * `peerChunks` does, `corrupt` at the end when it was something else.
 */
export async function* peerInput(
  asking: PeerAsking,
  { build, bytes, digest }: BlobName,
  meter: Meter,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const question = { kind: "input", build, digest } as const;
  const count = Math.ceil(bytes / chunkBytes);
  const wholeMsMax = asking.limits.inputMsMax;
  const sum = createHash("sha256");
  let left = bytes;
  let next = 0;
  try {
    for await (const piece of peerFrames(asking, { question, count, wholeMsMax }, signal)) {
      if (piece.index !== next++ || piece.bytes.length !== Math.min(left, chunkBytes))
        throw corrupt(asking, `sent ${piece.bytes.length} bytes of an input as piece ${piece.index}`);
      left -= piece.bytes.length;
      sum.update(piece.bytes);
      // The last piece is held back until all is known to be good.
      if (left === 0 && sum.digest("hex") !== digest) throw corrupt(asking, "sent another input");
      yield piece.bytes;
    }
  } catch (error) {
    if (Failure.is(error, "corrupt")) meter.count("larder_corrupt_chunks_total", { source: "peer" });
    throw error;
  }
}

function corrupt({ connection }: PeerAsking, what: string): Failure {
  return new Failure("corrupt", `peer ${connection.name} ${what}`);
}
