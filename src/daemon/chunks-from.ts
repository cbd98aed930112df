import type { Clock } from "../base/clock.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { silentTracer, type Tracer } from "../base/tracer.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { bucketChunks } from "../build/bucket-chunks.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import { firstOf } from "../build/first-of.ts";
import { impatient } from "../build/impatient.ts";
import type { IndexBook } from "../build/index-book.ts";
import { type FetchLimits, limited } from "../build/limited.ts";
import { measured } from "../build/measured.ts";
import { retried } from "../build/retried.ts";
import { fetchRetries } from "../build/retry.ts";
import { traced } from "../build/traced.ts";
import { verified } from "../build/verified.ts";
import type { Peers } from "../peers/peers.ts";

const fetchLimits: FetchLimits = { requestsMax: 16, bytesInFlightMax: 64 * 1024 * 1024, waitersMax: 10_000 };
/** A bucket that gives nothing for so long has failed: it is asked again. */
export const stallMsMax = 10_000;

export interface ChunkOrigins {
  readonly bucket: Bucket;
  readonly indexes: IndexBook;
  readonly peers: Peers | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  readonly tracer?: Tracer;
}

/**
 * Read aloud: again if the failure says so; from a peer, else from a bucket that answers, so many at a time; never
 * unverified. Who waits for a peer takes no place before the bucket: two nodes whose places were all taken by those
 * who wait for the other would wait for ever.
 */
export function chunksFrom({ bucket, indexes, ...rest }: ChunkOrigins): ChunkSource {
  return chunksOver(bucketChunks(bucket, indexes), { indexes, ...rest });
}

/** The same over what is in the bucket's place. */
export function chunksOver(
  bucket: ChunkSource,
  { indexes, peers, clock, random, meter, tracer = silentTracer }: Omit<ChunkOrigins, "bucket">,
): ChunkSource {
  const prompt = impatient(bucket, { clock, stallMsMax });
  const origin = limited(verified(measured(traced(prompt, tracer), meter), indexes, meter), fetchLimits);
  const remote =
    peers === undefined ? [origin] : [measured(traced(peers.source, tracer), meter), peers.origin(origin)];
  return retried(firstOf(remote), { clock, random, meter, ...fetchRetries });
}
