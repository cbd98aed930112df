import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Clock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { assertNothingLeft, takeCensus } from "../../base/testing/census.ts";
import { type FaultPlan, faulty } from "../../base/testing/faulty.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import { SeededRandom } from "../../base/testing/seeded-random.ts";
import { VirtualClock } from "../../base/testing/virtual-clock.ts";
import { MemoryBucket } from "../../bucket/memory-bucket.ts";
import { bucketChunks } from "../../build/bucket-chunks.ts";
import { bucketObjects } from "../../build/bucket-objects.ts";
import { IndexBook } from "../../build/index-book.ts";
import {
  publishRandomBuild,
  type PublishedBuild,
  type PublishedOptions,
} from "../../build/testing/published-build.ts";
import { verified } from "../../build/verified.ts";
import { realDisk } from "../disk.ts";
import { FaultyDisk } from "./faulty-disk.ts";
import { TemplateCache, type TemplateCacheOptions } from "../template-cache.ts";

export const never = new AbortController().signal;

export interface Request {
  readonly method: string;
  readonly key: string;
}

/** A bucket, a shelf on a real disk, a clock that the test moves, and a cache between them. */
export class CacheWorld {
  readonly bucket = new MemoryBucket();
  readonly clock = new VirtualClock();
  readonly random = new SeededRandom(1);
  readonly meter = new MemoryMeter();
  readonly directory: string;
  /** The real disk, with the faults that the test plans. */
  readonly disk = new FaultyDisk(realDisk);
  /** Every request that reached the bucket. */
  readonly requests: Request[] = [];
  /** What becomes of the requests: replaced by the test. */
  plan: FaultPlan = () => undefined;
  readonly logged: { facts: object; event: string }[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Runs `test` in a fresh world; afterwards nothing may be left open and the shelf goes. */
  static async run(test: (world: CacheWorld) => Promise<void>): Promise<void> {
    const census = takeCensus();
    const world = new CacheWorld(await mkdtemp(path.join(tmpdir(), "larder-cache-")));
    try {
      await test(world);
    } finally {
      await rm(world.directory, { recursive: true });
    }
    await assertNothingLeft(census);
  }

  publish(options: PublishedOptions = {}): Promise<PublishedBuild> {
    return publishRandomBuild(this.bucket, this.random, options);
  }

  /** A cache that is settled: what nobody leases may be evicted from the start. */
  async open(options: Partial<TemplateCacheOptions> & { clock?: Clock } = {}): Promise<TemplateCache> {
    const cache = await this.openUnsettled(options);
    await cache.settle();
    return cache;
  }

  openUnsettled(options: Partial<TemplateCacheOptions> & { clock?: Clock } = {}): Promise<TemplateCache> {
    const indexes = new IndexBook();
    const bucket = faulty(this.bucket, (method, args, call) => {
      const key = String(args[0]);
      if (method === "read") this.requests.push({ method, key });
      return this.plan(method, args, call);
    });
    const log = (facts: object, event: string) => void this.logged.push({ facts, event });
    return TemplateCache.open({
      directory: this.directory,
      disk: this.disk,
      bytesMax: 2 ** 30,
      chunks: verified(bucketChunks(bucket, indexes), indexes, this.meter),
      objects: bucketObjects(bucket),
      indexes,
      clock: this.clock,
      random: this.random,
      meter: this.meter,
      logger: { ...silentLogger, warn: log, error: log },
      ...options,
    });
  }

  /** Waits for a promise that may need the clock to go on, for a virtual minute. */
  async patiently<T>(promise: Promise<T>): Promise<T> {
    const pending = Promise.resolve("pending" as const);
    promise.catch(() => {});
    for (let i = 0; i < 600; i++) {
      if (
        (await Promise.race([
          promise.then(
            () => "settled",
            () => "settled",
          ),
          pending,
        ])) === "settled"
      )
        break;
      await this.clock.advance(100);
    }
    return promise;
  }

  /** Requests for objects whose key ends like this. */
  asked(suffix: string): number {
    return this.requests.filter(({ key }) => key.endsWith(suffix)).length;
  }
}
