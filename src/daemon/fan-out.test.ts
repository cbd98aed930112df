import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { type Clock, systemClock } from "../base/clock.ts";
import { randomId } from "../base/random-id.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { faulty } from "../base/testing/faulty.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { chunkBytes } from "../build/artifact.ts";
import { publishBuild } from "../build/publish-build.ts";
import { groupChunks, rankOf } from "../peers/rendezvous.ts";
import { FanNode, freeAddresses } from "./testing/fan-node.ts";
import { lyingPeer } from "./testing/lying-peer.ts";

const never = new AbortController().signal;
/**
 * A node gives up a peer that is silent for 3 s, and rightly reads from the bucket then. On a machine so busy that
 * this takes a minute, a good one may be; so all bounds are longer here.
 */
const clock: Clock = {
  ...systemClock,
  after: (ms, callback) => systemClock.after(30 * ms, callback),
};
/** Groups of sixteen chunks that have an owner each. */
const groups = 3;

/** Starts a build on some nodes at once, beside one peer that is dead and one that lies; what the bucket gave. */
async function startTogether(count: number, world: { dead: boolean; lying: boolean }) {
  const bucket = new MemoryBucket();
  const directory = await mkdtemp(path.join(tmpdir(), "larder-fan-"));
  const build = await publishNumbered(bucket, directory);
  const census = takeCensus();
  {
    await using stack = new AsyncDisposableStack();
    const liar = stack.use(await lyingPeer(groups * groupChunks));
    const own = await freeAddresses(count + 1);
    const others = [...(world.lying ? [liar.address] : []), ...own.slice(0, world.dead ? count + 1 : count)];
    const nodes: FanNode[] = [];
    for (const [i, address] of own.slice(0, count).entries()) {
      const place = { directory: path.join(directory, String(i)), addresses: others, own: address };
      nodes.push(stack.use(await FanNode.open({ bucket, clock, ...place })));
    }
    await Promise.all(nodes.map((node) => readAndCompare(node, build)));
    const fromBucket = nodes.reduce((sum, node) => sum + node.fetchedFrom("bucket"), 0);
    const fromPeers = nodes.reduce((sum, node) => sum + node.fetchedFrom("peer"), 0);
    await stack.disposeAsync();
    await rm(directory, { recursive: true });
    await assertNothingLeft(census);
    return { fromBucket, fromPeers, stored: build.image.length, liar: liar.asked };
  }
}

async function readAndCompare(node: FanNode, { build, image }: NumberedBuild): Promise<void> {
  let at = 0;
  const compare = (piece: Buffer) => {
    assert.ok(image.subarray(at, at + piece.length).equals(piece), `what was read at ${at}`);
    at += piece.length;
  };
  await node.read(build, "rootfs", compare, never);
  assert.equal(at, image.length);
}

interface NumberedBuild {
  readonly build: string;
  readonly image: Buffer;
}

/** A disk whose chunks are filled with their numbers, so that it is made and compressed in no time. */
async function publishNumbered(bucket: MemoryBucket, directory: string): Promise<NumberedBuild> {
  const image = Buffer.alloc(groups * groupChunks * chunkBytes);
  for (let chunk = 0; chunk < groups * groupChunks; chunk++)
    image.fill(chunk + 1, chunk * chunkBytes, (chunk + 1) * chunkBytes);
  const rootfs = path.join(directory, "rootfs");
  await writeFile(rootfs, image);
  const build = randomUUID();
  const rest = { createdAt: new Date(0).toISOString(), metafile: Buffer.from("{}"), inputs: [] };
  await publishBuild({ bucket, build, artifacts: { rootfs }, scratch: directory, ...rest }, never);
  return { build, image };
}

describe("Nodes that start the same build together", () => {
  it("C25: read each chunk from the bucket once", async () => {
    const { fromBucket, fromPeers, stored } = await startTogether(3, { dead: false, lying: false });
    assert.equal(fromBucket / stored, 1);
    assert.equal(fromPeers / stored, 2);
  });

  it("C25: read each chunk from the bucket at most 1.1 times with one peer dead and one lying", async () => {
    const { fromBucket, stored, liar } = await startTogether(3, { dead: true, lying: true });
    assert.ok(fromBucket / stored <= 1.1, `${fromBucket / stored} times`);
    assert.ok(liar.chunks >= 1 && liar.chunks <= 3, `the liar was asked ${liar.chunks} times by 3 nodes`);
  });

  it("C25: a node that comes later waits for what another one is just reading", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "larder-fan-"));
    const whole = new MemoryBucket();
    const build = await publishNumbered(whole, directory);
    const held = Promise.withResolvers<void>();
    let reads = 0;
    const bucket = faulty(whole, (method, [key]) => {
      if (method !== "read" || !String(key).endsWith(".pack")) return undefined;
      reads += 1;
      return { kind: "stall", until: held.promise };
    });
    {
      const [first, second] = await freeAddresses(2);
      assert.ok(first !== undefined && second !== undefined);
      const places = { bucket, clock, addresses: [first, second] };
      const early = { directory: path.join(directory, "a"), own: first, random: new SeededRandom(1) };
      await using one = await FanNode.open({ ...places, ...early });
      const reading = readAndCompare(one, build);
      await eventually(() => reads === 1);
      const random = randomThatStandsAbove(one.peers.node, build.build);
      const late = { directory: path.join(directory, "b"), own: second, random };
      await using other = await FanNode.open({ ...places, ...late });
      const rereading = readAndCompare(other, build);
      await eventually(() => other.meter.sum("larder_peer_questions_total") > 0);
      held.resolve();
      await Promise.all([reading, rereading]);
      const fromBucket = one.fetchedFrom("bucket") + other.fetchedFrom("bucket");
      assert.equal(fromBucket / build.image.length, 1);
    }
    await rm(directory, { recursive: true });
  });
});

/** For a node that owns the first group as soon as it is known: it would read from the bucket by itself. */
function randomThatStandsAbove(node: string, build: string): SeededRandom {
  const rank = (name: string) => rankOf(name, build, "rootfs", 0);
  for (let seed = 2; ; seed++) {
    if (rank(randomId(new SeededRandom(seed), 16)) > rank(node)) return new SeededRandom(seed);
  }
}
