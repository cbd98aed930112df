import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { silentMeter } from "../../src/base/meter.ts";
import { DirectoryBucket } from "../../src/bucket/directory-bucket.ts";
import { claimBucket } from "../../src/build/claim-bucket.ts";
import { graceMsDefault } from "../../src/build/grace.ts";
import { dataPath } from "../../src/build/make-build.ts";
import type { Disk } from "../../src/cache/disk.ts";
import type { TemplateCache } from "../../src/cache/template-cache.ts";
import { ChildBuilds } from "../../src/sandbox/child-builds.ts";
import type { Guest } from "../../src/sandbox/launcher.ts";
import { Store } from "../../src/store/store.ts";
import { BucketRegister } from "../../src/template/bucket-register.ts";
import { collectGarbage } from "../../src/template/collect-garbage.ts";
import { never, openCache, type Place } from "./workload.ts";

const node = "11111111-1111-4111-8111-111111111111";
/** What nothing leads to is old for this one. */
const later = { ...systemClock, now: () => systemClock.now() + 3 * graceMsDefault };

/** What a daemon is without its machines: store, shelf, builds of sandboxes, and what the bucket is told. */
export class CrashNode implements AsyncDisposable {
  readonly store: Store;
  readonly cache: TemplateCache;
  readonly builds: ChildBuilds;
  readonly register: BucketRegister;
  readonly bucket: DirectoryBucket;
  readonly #held: AsyncDisposableStack;

  private constructor(parts: Parts, held: AsyncDisposableStack) {
    this.store = parts.store;
    this.cache = parts.cache;
    this.builds = parts.builds;
    this.register = parts.register;
    this.bucket = parts.bucket;
    this.#held = held;
  }

  static async open(place: Place, disk: Disk): Promise<CrashNode> {
    await using held = new AsyncDisposableStack();
    const [clock, logger, meter] = [systemClock, silentLogger, silentMeter];
    await mkdir(place.data, { recursive: true });
    const store = held.use(await openStore(place.data));
    const bucket = held.use(new DirectoryBucket(place.bucket));
    await claimBucket(bucket, store.settings.storeId, never);
    const cache = held.use(await openCache(place, disk));
    const directory = path.join(place.data, "unpublished");
    const records = store.childBuilds;
    const made = await ChildBuilds.open({ records, shelf: cache, bucket, directory, clock, logger, meter });
    const builds = held.use(made);
    const register = held.use(new BucketRegister({ bucket, cards: store.cards, node, clock, logger }));
    await cache.settle();
    return new CrashNode({ store, cache, builds, register, bucket }, held.move());
  }

  /** Makes a build of a sandbox of `parent`, which has filled one block. */
  async take(parent: string, block: number, byte: number) {
    await using lease = await this.cache.acquire(parent, "a sandbox", never);
    await lease.open("rootfs", never);
    const of = { manifest: lease.manifest, index: lease.index("rootfs") };
    const changes = [{ offset: 4096 * block, length: 4096, zero: byte === 0 }];
    const capture: Guest["capture"] = async ({ directory }) => {
      const target = dataPath(directory, "rootfs");
      await writeFile(target, byte === 0 ? "" : Buffer.alloc(4096, byte));
      const { inputs } = of.manifest;
      return {
        images: { rootfs: { path: target, changes, parent: of } },
        metafile: Buffer.from("{}"),
        inputs,
      };
    };
    return await this.builds.take({ capture } as unknown as Guest, { memory: false, goOn: false }, never);
  }

  /** All that is made on this node is in the bucket. */
  async published(): Promise<void> {
    await this.builds.swept();
    while (this.builds.unpublished > 0) await systemClock.sleep(2, never);
  }

  async collect(): Promise<void> {
    const { bucket, store, cache } = this;
    await this.register.sync(never);
    const shelf = { builds: () => cache.inspect().builds, evict: (build: string) => cache.evict(build) };
    const needed = () => store.cards.needed();
    const forget = (builds: readonly string[]) => store.cards.forget(builds);
    const rest = { clock: later, logger: silentLogger, node, store: store.settings.storeId };
    const wish = { dryRun: false, graceMs: graceMsDefault, lostNodes: [] };
    await collectGarbage({ bucket, shelf, needed, forget, ...rest }, wish, never);
  }

  /** A device as its reader sees it. */
  async read(build: string): Promise<Buffer> {
    await using lease = await this.cache.acquire(build, "a reader", never);
    await lease.open("rootfs", never);
    const device = lease.image("rootfs");
    const bytes = Buffer.alloc(device.bytes);
    await device.read(0, bytes, never);
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

interface Parts {
  readonly store: Store;
  readonly cache: TemplateCache;
  readonly builds: ChildBuilds;
  readonly register: BucketRegister;
  readonly bucket: DirectoryBucket;
}

export async function openStore(data: string, name = "larder.db"): Promise<Store> {
  return await Store.open({ path: path.join(data, name), clock: systemClock, logger: silentLogger });
}
