import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Sandbox } from "e2b";
import { peerLimits } from "../../src/peers/peer-limits.ts";
import { FarBucket } from "./testing/far-bucket.ts";
import { fleetPlaces, liarFor, startFleet } from "./testing/fleet.ts";
import { assertNoLeaks, type Served, serve, sharedData } from "./testing/served.ts";

const mebibyte = 2 ** 20;

async function until(what: string, isSo: () => Promise<boolean>, msMax = 120_000): Promise<void> {
  const began = performance.now();
  while (!(await isSo())) {
    if (performance.now() - began > msMax) assert.fail(`not within ${msMax} ms: ${what}`);
    await pause(50);
  }
}

const farBucket = (bytesPerSecond: number) =>
  FarBucket.start({ from: path.join(sharedData(), "bucket"), latencyMs: 5, bytesPerSecond });

/** Starts a sandbox with the real SDK and uses it; the whole of its memory has come when this resolves. */
async function use(served: Served): Promise<void> {
  const sandbox = await Sandbox.create({ ...served.sdk, requestTimeoutMs: 120_000, timeoutMs: 600_000 });
  const { stdout } = await sandbox.commands.run(`python3 -c "print(6*7)" && cat /etc/debian_version`);
  assert.match(stdout, /^42\n12/);
  await until("its memory is whole", () => isWhole(served));
  await sandbox.kill();
}

const fetchedBytes = (served: Served) => served.metric("larder_fetched_bytes_total");

const isWhole = async (served: Served) => (await served.metric("larder_cache_seals_total")) === 1;

/** The longest time in which nothing has come to any of them, from the bucket or from a peer, until they have all. */
async function longestPause(bucket: FarBucket, daemons: readonly Served[]): Promise<number> {
  const progress = async () =>
    (await Promise.all(daemons.map(fetchedBytes))).reduce((all, each) => all + each, bucket.proxy.bytes);
  let [last, since, longestMs] = [await progress(), performance.now(), 0];
  while (!(await Promise.all(daemons.map(isWhole))).every((each) => each)) {
    await pause(50);
    const now = await progress();
    longestMs = Math.max(longestMs, performance.now() - since);
    if (now !== last) since = performance.now();
    last = now;
  }
  return longestMs;
}

describe("three nodes with one bucket", () => {
  it("C25: read from it together what one of them would read alone, whatever they need", async () => {
    await using bucket = await farBucket(200 * mebibyte);
    const bytesOf = async (nodes: number) => {
      await using fleet = await fleetPlaces({ bucket, nodes });
      await using running = await startFleet(fleet.places);
      const before = bucket.proxy.bytes;
      await Promise.all(running.daemons.map(use));
      return bucket.proxy.bytes - before;
    };
    const alone = await bytesOf(1);
    const together = await bytesOf(3);
    assert.ok(together <= 1.1 * alone, `${together / alone} times`);
  });

  it("C24: go on when one is killed in the middle and another peer lies; the killed one comes back", async () => {
    await using bucket = await farBucket(40 * mebibyte);
    await using liar = await liarFor(path.join(sharedData(), "bucket"));
    await using fleet = await fleetPlaces({ bucket, nodes: 3, others: [liar.address] });
    await using running = await startFleet(fleet.places);
    const [first, second, killed = assert.fail()] = running.daemons;
    const others = [first ?? assert.fail(), second ?? assert.fail()] as const;
    const broken = assert.rejects(use(killed), "its daemon is killed");
    const work = Promise.all(others.map(use));
    await until("it has fetched something", async () => (await fetchedBytes(killed)) > 20 * mebibyte);
    await killed.end("SIGKILL");
    const pausedMs = await longestPause(bucket, others);
    await Promise.all([work, broken]);
    assert.ok(pausedMs < peerLimits.silenceMsMax + 2000, `nothing came for ${pausedMs} ms`);
    for (const each of others) {
      const told = await (await fetch(`${each.url}/metrics`)).text();
      assert.match(told, /larder_corrupt_chunks_total\{source="peer"\} [1-9]/);
      assert.doesNotMatch(told, /larder_corrupt_chunks_total\{source="bucket"\} [1-9]/);
    }
    const { stdout } = await others[0].larder("doctor");
    assert.match(stdout, /peers: 3 of 4 answer; not: peer .*ECONNREFUSED/);
    const place = fleet.places[2] ?? assert.fail();
    await using back = await serve(place.environment, place.data);
    await use(back);
    for (const each of [others[0], back]) await assertNoLeaks(each);
  });
});
