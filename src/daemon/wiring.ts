import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import path from "node:path";
import type { SandboxLogs } from "../api/ports.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Tracer } from "../base/tracer.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { openBucket } from "../bucket/open-bucket.ts";
import { bucketObjects } from "../build/bucket-objects.ts";
import { claimBucket } from "../build/claim-bucket.ts";
import { impatientObjects } from "../build/impatient.ts";
import { ReadOrders } from "../build/read-orders.ts";
import { IndexBook } from "../build/index-book.ts";
import { TemplateCache } from "../cache/template-cache.ts";
import { removeFormerGroups } from "../machine/stray-groups.ts";
import { NbdWorkers } from "../nbd/worker/nbd-workers.ts";
import type { Networks } from "../network/networks.ts";
import { endFormerNetworks } from "../network/remains.ts";
import type { Peers } from "../peers/peers.ts";
import { endFormerServers } from "../memory/remains.ts";
import { leftMachine } from "../sandbox/adoption.ts";
import { ChildBuilds } from "../sandbox/child-builds.ts";
import { notedNetwork } from "../sandbox/guest-network.ts";
import { endLeftovers } from "../sandbox/leftovers.ts";
import { LazyMemories } from "../sandbox/lazy-memories.ts";
import type { Remains } from "../sandbox/launcher.ts";
import { MachineLauncher } from "../sandbox/machine-launcher.ts";
import { notedMemory } from "../sandbox/map-memory.ts";
import { reap } from "../sandbox/reap.ts";
import { Sandboxes } from "../sandbox/sandboxes.ts";
import { Snapshots } from "../sandbox/snapshots.ts";
import { UidRange } from "../sandbox/uid-range.ts";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import { Store } from "../store/store.ts";
import { BucketRegister } from "../template/bucket-register.ts";
import { chunksFrom, stallMsMax } from "./chunks-from.ts";
import type { Configuration } from "./configuration.ts";
import type { EndsInOrder } from "./ends-in-order.ts";
import { type Host, shapeOf } from "./host.ts";
import type { Metrics } from "./metrics.ts";
import { readOrMakeNodeId } from "./node-id-file.ts";
import { makePeers, servePeers } from "./node-peers.ts";
import type { Premises } from "./premises.ts";
import { daemonName } from "./run-directory.ts";
import { sayBounds } from "./say-bounds.ts";

/** What everything is built from. */
export interface Ground {
  readonly configuration: Configuration;
  readonly premises: Premises;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What the logger was told of single sandboxes. */
  readonly logs: SandboxLogs;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
}

/** Where builds are remembered, published and lent from. */
export interface Builds {
  readonly store: Store;
  readonly bucket: Bucket;
  readonly cache: TemplateCache;
  /** Where their disks are offered to machines. */
  readonly exports: NbdWorkers;
  /** What the bucket is told of the store. */
  readonly register: BucketRegister;
  /** The other nodes; undefined when this one keeps to itself. */
  readonly peers: Peers | undefined;
}

/** The version of the agent's protocol that clients are told. */
export const agentVersion = "0.6.13";

/** How long a create waits for its place. */
const waitMsMax = 25_000;
/** The shelf leaves this much of the disk to others. */
const freeBytesMin = 1024 * 1024 * 1024;

export async function wireBuilds(ground: Ground, ends: EndsInOrder, signal: AbortSignal): Promise<Builds> {
  const { configuration, clock, random, logger, metrics: meter } = ground;
  const { data, shelfBytes: bytesMax } = configuration;
  const database = { path: path.join(data, "larder.db"), clock, random, logger };
  const store = ends.hold("store", await Store.open(database));
  const bucketGround = { clock, random, meter, environment: process.env };
  const bucket = ends.hold("bucket", openBucket(configuration.bucket, bucketGround));
  await claimBucket(bucket, store.settings.storeId, signal);
  const node = await readOrMakeNodeId(data);
  const register = new BucketRegister({ bucket, cards: store.cards, node, clock, logger });
  ends.hold("register", register);
  const indexes = new IndexBook();
  const peers = makePeers(ground, indexes);
  const chunks = chunksFrom({ bucket, indexes, peers, ...ground, meter });
  const shelf = { directory: path.join(data, "shelf"), bytesMax, freeBytesMin };
  const whole = impatientObjects(bucketObjects(bucket), { clock, stallMsMax });
  const objects = peers?.objects(whole) ?? whole;
  const sources = { chunks, objects, indexes };
  const cache = await TemplateCache.open({ ...shelf, ...sources, clock, random, logger, meter });
  ends.hold("cache", cache);
  // Ended before the cache: what is being sent to others holds leases.
  if (peers !== undefined) await servePeers(ends.hold("peers", peers), cache, ground);
  const exports = new NbdWorkers({ threads: exportThreads(), clock, logger, meter });
  return { store, bucket, cache, register, peers, exports: ends.hold("disk exports", exports) };
}

/** How a machine is made of a build: for sandboxes, and to prove a template. */
export function wireLauncher(
  { configuration, clock, random, logger, metrics: meter, tracer }: Ground,
  { cache: builds, exports }: Builds,
  { machines, tscKhz, accelerator, bounds }: Host,
  { networks, memories }: { readonly networks?: Networks | undefined; readonly memories?: LazyMemories },
): MachineLauncher {
  const overlayDirectory = path.join(configuration.data, "overlays");
  return new MachineLauncher({
    ...{ builds, exports, host: machines, accelerator: accelerator.kind, tscKhz, overlayDirectory, bounds },
    ...{ clock, random, logger, meter, tracer, stalledMsMax: configuration.stallSeconds * 1000 },
    ...(networks === undefined ? {} : { networks }),
    memories,
  });
}

/**
 * Ends what a former daemon left of its sandboxes, but for machines that can be taken over, if those are spared.
 * Needs no host: a template may have to be made before there is one. Resolves to how many there were.
 */
export async function endFormerSandboxes(
  ground: Pick<Ground, "configuration" | "premises" | "clock" | "logger">,
  store: Pick<Store, "sandboxes">,
  running: "spare" | "end",
): Promise<number> {
  const { clock, logger } = ground;
  const launcher = { reap: (remains: Remains) => reap(remains, clock) };
  const spare = (record: SandboxRecord) => running === "spare" && leftMachine(record) !== undefined;
  const records = store.sandboxes;
  const count = await endLeftovers({ records, launcher, ...placesOf(ground), logger, spare });
  const living = (await records.all()).filter(spare);
  const spared = living.flatMap((record) => notedNetwork(record) ?? []);
  const served = living.flatMap((record) => notedMemory(record) ?? []);
  await endFormerServers(ground.premises.runDirectory, { spared: new Set(served), clock, logger });
  await endFormerNetworks(ground.premises.runDirectory, { spared: new Set(spared), clock, logger });
  const machines = new Set(living.map(({ id }) => id));
  await removeFormerGroups(daemonName(ground.configuration.data), { spared: machines, clock, logger });
  return count;
}

/** The builds that are made of sandboxes; takes up what a former run has left unpublished. */
export async function wireChildBuilds(
  ground: Ground,
  builds: Builds,
  ends: EndsInOrder,
): Promise<ChildBuilds> {
  const { configuration, clock, logger, metrics: meter } = ground;
  const { store, bucket, cache, register } = builds;
  const directory = path.join(configuration.data, "unpublished");
  // Soon told to the bucket: what sleeps here can be found there when all else is lost.
  const onPublished = () => register.changed();
  const options = { records: store.childBuilds, shelf: cache, bucket, directory, onPublished };
  return ends.hold("child builds", await ChildBuilds.open({ ...options, clock, logger, meter }));
}

export interface MadeSandboxes {
  readonly sandboxes: Sandboxes;
  readonly snapshots: Snapshots;
  readonly memories: LazyMemories;
}

/** Sandboxes on this host, once what a former daemon left of its own has been ended. */
export async function wireSandboxes(
  ground: Ground,
  builds: Builds,
  { host, networks }: { readonly host: Host; readonly networks: Networks | undefined },
  { ends, running }: { readonly ends: EndsInOrder; readonly running: () => "end" | "leave" },
): Promise<MadeSandboxes> {
  const { configuration, clock, random, logger, metrics: meter } = ground;
  const { data, sandboxesMax, memoryBytesMax, restoresMax, waitingMax, pool } = configuration;
  const { store } = builds;
  sayBounds(host, logger);
  const directory = ground.premises.runDirectory;
  const orders = new ReadOrders(builds.bucket);
  const memories = new LazyMemories({
    directory,
    builds: builds.cache,
    orders,
    clock,
    random,
    logger,
    meter,
    tracer: ground.tracer,
  });
  const launcher = wireLauncher(ground, builds, host, { networks, memories });
  builds.exports.start();
  const keeper = await wireChildBuilds(ground, builds, ends);
  const sandboxes = new Sandboxes({
    ...{ store, launcher, snapshots: keeper, ...placesOf(ground), agentVersion, host: shapeOf(host) },
    limits: { sandboxesMax, memoryBytesMax, startsMax: restoresMax, waitersMax: waitingMax, waitMsMax },
    poolMachinesMax: pool,
    ...(host.machines.root ? { uids: usersFor(data, "machines") } : {}),
    ...{ clock, random, logger, meter, tracer: ground.tracer },
  });
  ends.hold("sandboxes", { [Symbol.asyncDispose]: () => sandboxes.close(running()) });
  await sandboxes.recall();
  const snapshots = new Snapshots({ sandboxes, records: store.snapshots, keeper });
  return { sandboxes, snapshots, memories };
}

/** Enough that one slow page of the disk does not hold up everybody; more brought nothing. */
function exportThreads(): number {
  return Math.max(2, Math.min(4, availableParallelism() >> 1));
}

function placesOf({ configuration, premises }: Pick<Ground, "configuration" | "premises">) {
  return { directory: path.join(configuration.data, "sandboxes"), socketDirectory: premises.runDirectory };
}

/**
 * User ids that no distribution hands out (systemd's table of them). Each data directory has its own stretch: half
 * of it for machines, half for what keeps up their networks, since neither may touch the other.
 */
const usersFrom = 0x7000_0000;
const usersEach = 0x1_0000;
const stretches = 2048;

/** Where in a stretch each kind begins, and how many it has. */
const shares = {
  machines: [0, 0x8000],
  networks: [0x8000, 0x7000],
  // Machines of sandboxes may run while a template is made, left by a daemon that has gone.
  templates: [0xf000, 0x1000],
} as const;

export function usersFor(data: string, whom: keyof typeof shares): UidRange {
  const stretch = createHash("sha256").update(data).digest().readUInt32BE() % stretches;
  const [first, count] = shares[whom];
  return new UidRange(usersFrom + stretch * usersEach + first, count);
}
