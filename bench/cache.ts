// What the cache itself costs: deciding that a read is a hit, joining a flight, and 100,000 waiters on one chunk.
// Arguments: rounds. Each figure comes with its goal and the memory it took; the last line is one JSON object.
import { PerformanceObserver } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SeededRandom } from "../src/base/testing/seeded-random.ts";
import type { HeldLease } from "../src/cache/lease.ts";
import { CacheWorld } from "../src/cache/testing/cache-world.ts";
import { SharedImageDevice } from "../src/nbd/shared-image-device.ts";
import { median, rounded } from "./medians.ts";

const rounds = Number(process.argv[2] ?? 7);
const decisions = 2_000_000;
const waiters = 100_000;
const never = new AbortController().signal;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Time of the processor that this thread has had: other work on the machine does not count. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** A disk of 10 GiB in 40,000 runs of two files, as a child of a child has it; every chunk is present. */
function fragmentedDevice(): SharedImageDevice {
  const [chunkBytes, count, runBytes] = [2 ** 18, 40_000, 2 ** 18];
  const bytes = count * runBytes;
  const words = Math.ceil(bytes / chunkBytes / 32);
  const runs = {
    offsets: Float64Array.from({ length: count + 1 }, (_, run) => run * runBytes),
    files: Int32Array.from({ length: count }, (_, run) => run % 2),
    positions: Float64Array.from({ length: count }, (_, run) => (run >> 1) * runBytes),
  };
  const file = (descriptor: number) => {
    const present = new Int32Array(new SharedArrayBuffer(4 * words)).fill(-1);
    return { descriptor, chunkBytes, present, zero: new Int32Array(words) };
  };
  return new SharedImageDevice({ bytes, runs, files: [file(1), file(2)] }, async () => {});
}

/** Nanoseconds of one decision, and how often the collector had to run for all of them. */
async function decideHits(device: SharedImageDevice): Promise<{ ns: number; collections: number }> {
  const random = new SeededRandom(1);
  const offsets = Float64Array.from({ length: 65_536 }, () => random.below(device.bytes / 4096) * 4096);
  let collections = 0;
  const observer = new PerformanceObserver((list) => (collections += list.getEntries().length));
  collect();
  observer.observe({ entryTypes: ["gc"] });
  let hits = 0;
  const began = cpuMs();
  for (let n = 0; n < decisions; n++) {
    if (device.place(offsets[n & 65_535] ?? 0, 4096) !== undefined) hits += 1;
  }
  const tookMs = cpuMs() - began;
  await new Promise((resolve) => setImmediate(resolve));
  observer.disconnect();
  if (hits !== decisions) throw new Error(`${hits} hits`);
  return { ns: (tookMs * 1e6) / decisions, collections };
}

interface Joined {
  /** From the first joining until every waiter has its outcome. */
  readonly usEach: number;
  readonly bytesEach: number;
}

/** Everyone joins one flight, each with a signal of its own; then it lands. */
async function joinFlight(how: "want" | "read"): Promise<Joined> {
  let joined: Joined | undefined;
  await CacheWorld.run(async (world) => {
    const { build } = await world.publish();
    await using cache = await world.open();
    await using lease = await cache.acquire(build, "bench", never);
    await lease.open("rootfs", never);
    const { fetcher } = (lease as HeldLease).residence.image("rootfs");
    const device = lease.image("rootfs");
    const landing = Promise.withResolvers<void>();
    world.plan = () => ({ kind: "stall", until: landing.promise });
    const into = new Uint8Array(1);
    const signals = Array.from({ length: waiters }, () => new AbortController().signal);
    collect();
    const { heapUsed } = process.memoryUsage();
    const began = cpuMs();
    const waits = signals.map((signal) =>
      how === "want" ? fetcher.want(0, signal) : device.read(0, into, signal),
    );
    const joinedMs = cpuMs() - began;
    collect();
    const bytesEach = (process.memoryUsage().heapUsed - heapUsed) / waiters;
    const landed = cpuMs();
    landing.resolve();
    await Promise.all(waits);
    joined = { usEach: ((joinedMs + cpuMs() - landed) * 1000) / waiters, bytesEach };
  });
  if (joined === undefined) throw new Error("nothing was measured");
  return joined;
}

const device = fragmentedDevice();
await decideHits(device);
const hits: { ns: number; collections: number }[] = [];
const wants: Joined[] = [];
const reads: Joined[] = [];
for (let round = 0; round < rounds; round++) {
  hits.push(await decideHits(device));
  wants.push(await joinFlight("want"));
  reads.push(await joinFlight("read"));
}

const result = {
  hitNs: rounded(median(hits.map(({ ns }) => ns))),
  collectionsPer2MHits: median(hits.map(({ collections }) => collections)),
  joinUs: rounded(median(wants.map(({ usEach }) => usEach)), 2),
  joinBytes: Math.round(median(wants.map(({ bytesEach }) => bytesEach))),
  readUs: rounded(median(reads.map(({ usEach }) => usEach)), 2),
  readBytes: Math.round(median(reads.map(({ bytesEach }) => bytesEach))),
};
console.log(
  `deciding a hit: ${result.hitNs} ns (goal 250), collections in 2,000,000: ${result.collectionsPer2MHits}`,
);
console.log(`joining a flight: ${result.joinUs} µs (goal 3), ${result.joinBytes} bytes a waiter`);
console.log(`${waiters} reads of one chunk: ${result.readUs} µs and ${result.readBytes} bytes each`);
console.log(JSON.stringify({ bench: "cache", rounds, waiters, ...result }));
