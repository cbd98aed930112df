import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { silentMeter } from "../../src/base/meter.ts";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { DirectoryBucket } from "../../src/bucket/directory-bucket.ts";
import { bucketChunks } from "../../src/build/bucket-chunks.ts";
import { bucketObjects } from "../../src/build/bucket-objects.ts";
import type { ChunkRequest } from "../../src/build/chunk-source.ts";
import { IndexBook } from "../../src/build/index-book.ts";
import { verified } from "../../src/build/verified.ts";
import { type Disk, realDisk } from "../../src/cache/disk.ts";
import { TemplateCache } from "../../src/cache/template-cache.ts";

export const never = new AbortController().signal;

/** Where things lie; the builds were published by whoever starts the workload. */
export interface Place {
  readonly shelf: string;
  /** The store, and what is not published yet. */
  readonly data: string;
  readonly bucket: string;
  readonly builds: readonly string[];
}

/** Small enough that the second build does not fit beside the first one. */
export const bytesMax = 14 * 256 * 1024;

export async function openCache(
  { shelf, bucket }: Place,
  disk: Disk = realDisk,
  onRequest: (request: ChunkRequest) => void = () => {},
): Promise<TemplateCache> {
  const indexes = new IndexBook();
  const objects = new DirectoryBucket(bucket);
  const plain = verified(bucketChunks(objects, indexes), indexes, silentMeter);
  const chunks: typeof plain = {
    name: plain.name,
    read: (request, signal) => {
      onRequest(request);
      return plain.read(request, signal);
    },
  };
  return await TemplateCache.open({
    ...{ directory: shelf, disk, bytesMax, chunks, indexes, objects: bucketObjects(objects) },
    ...{ clock: systemClock, random: new SeededRandom(1), logger: silentLogger, meter: silentMeter },
  });
}

/** Everything that writes to a shelf: fetching, sealing, pinning, leasing, evicting in part and whole, restarting. */
export async function work(place: Place, disk: Disk): Promise<void> {
  for (let run = 0; run < 2; run++) {
    await using cache = await openCache(place, disk);
    await cache.settle();
    for (const build of place.builds) {
      const lease = await cache.acquire(build, "crash test", never);
      await lease.openAll(never);
      const device = lease.image("rootfs");
      await device.read(0, Buffer.alloc(device.bytes), never);
      await lease.memfile(never);
      await lease.input("agent-disk", never);
      await lease[Symbol.asyncDispose]();
      if (run === 0) await cache.operator.pin(build);
      await cache.operator.unpin(build);
    }
    const [first = ""] = place.builds;
    if (run === 1) await cache.evict(first);
  }
}
