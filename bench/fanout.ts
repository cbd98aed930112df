// How often is the bucket asked when nodes start one build at once? Eight processes, each with a shelf, a peer port
// and a connection to the same bucket, whose every answer takes as long as an object store's. Three rounds: all are
// well; one address is dead and one peer lies; one peer lies and one node is killed in the middle.
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openBucket } from "../src/bucket/open-bucket.ts";
import { systemClock as clock } from "../src/base/clock.ts";
import { silentMeter as meter } from "../src/base/meter.ts";
import { systemRandom as random } from "../src/base/random.ts";
import { chunkBytes } from "../src/build/artifact.ts";
import { publishBuild } from "../src/build/publish-build.ts";
import { freeAddresses } from "../src/daemon/testing/fan-node.ts";
import { lyingPeer } from "../src/daemon/testing/lying-peer.ts";
import type { PeerAddress } from "../src/peers/peer-connection.ts";
import type { FanOrder, FanResult } from "./fanout-node.ts";
import { rounded, since } from "./medians.ts";

const nodes = Number(process.argv[2] ?? 8);
const mebibytes = Number(process.argv[3] ?? 64);
const chunks = (mebibytes * 1024 * 1024) / chunkBytes;

interface Round {
  readonly lying?: true;
  readonly dead?: true;
  /** One of the nodes is killed when it has read so many bytes. */
  readonly killedAt?: number;
}

const directory = await mkdtemp(path.join(tmpdir(), "larder-fanout-"));
const bucketUrl = `file://${directory}/bucket`;
try {
  const image = await publish();
  const well = await round({}, image);
  const dead = await round({ dead: true, lying: true }, image);
  const killed = await round({ lying: true, killedAt: image.bytes / 3 }, image);
  const ratios = { withOneDeadAndOneLying: dead.ratio, withOneKilledAndOneLying: killed.ratio };
  const secondsEach = rounded(well.seconds);
  const more = { ...ratios, mebibytes, secondsEach, fromPeers: rounded(well.fromPeers, 3) };
  console.log(JSON.stringify({ nodes, originEgressRatio: well.ratio, ...more }));
} finally {
  await rm(directory, { recursive: true });
}

/** A disk of noise, so that what the bucket gives is what the build stores. */
async function publish(): Promise<{ build: string; bytes: number }> {
  const rootfs = path.join(directory, "rootfs");
  await using file = await open(rootfs, "w");
  for (let chunk = 0; chunk < chunks; chunk++) await file.write(randomBytes(chunkBytes));
  await using bucket = openBucket(bucketUrl, { clock, random, meter, environment: {} });
  const build = randomUUID();
  const rest = { createdAt: new Date(0).toISOString(), metafile: Buffer.from("{}"), inputs: [] };
  const signal = AbortSignal.timeout(10 * 60_000);
  await publishBuild({ bucket, build, artifacts: { rootfs }, scratch: directory, ...rest }, signal);
  return { build, bytes: chunks * chunkBytes };
}

async function round(what: Round, { build, bytes }: { build: string; bytes: number }) {
  await using liar = await lyingPeer(chunks);
  const own = await freeAddresses(nodes + 1);
  const addresses = [...(what.lying ? [liar.address] : []), ...own.slice(0, what.dead ? nodes + 1 : nodes)];
  const children = own.slice(0, nodes).map((address) => start(address, addresses, build));
  const ready = await Promise.all(children.map((child) => once(child, "message")));
  if (ready.length !== nodes) throw new Error("a node did not get ready");
  const begun = performance.now();
  const results = await Promise.all(
    children.map((child, i) => result(child, i === 0 ? what.killedAt : undefined)),
  );
  const seconds = since(begun) / 1000;
  const sum = (source: "fromBucket" | "fromPeers") => results.reduce((all, each) => all + each[source], 0);
  const told = { ...what, seconds: rounded(seconds), ratio: rounded(sum("fromBucket") / bytes, 3) };
  console.log(JSON.stringify({ ...told, fromPeers: rounded(sum("fromPeers") / bytes, 3) }));
  return { ratio: told.ratio, seconds, fromPeers: sum("fromPeers") / bytes };
}

function start(own: PeerAddress, addresses: readonly PeerAddress[], build: string): ChildProcess {
  const order: FanOrder = { build, bucketUrl, own, addresses, directory: path.join(directory, randomUUID()) };
  return fork(path.join(import.meta.dirname, "fanout-node.ts"), [JSON.stringify(order)]);
}

/** Lets a node begin; what it had read when it ended, or when it was killed. */
async function result(child: ChildProcess, killedAt = Infinity): Promise<FanResult> {
  let last: FanResult = { read: 0, fromBucket: 0, fromPeers: 0 };
  child.on("message", (told: FanResult) => {
    last = told;
    if (told.read >= killedAt) child.kill("SIGKILL");
  });
  child.send("begin");
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0 && killedAt === Infinity) throw new Error(`a node ended with code ${code}`);
  return last;
}
