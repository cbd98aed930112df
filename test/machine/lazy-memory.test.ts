import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { Sandbox } from "e2b";
import { ArtifactIndex } from "../../src/build/artifact-index.ts";
import { findByArgument, killByIdentity, startTimeOf } from "../../src/base/processes.ts";
import { runDirectoryOf } from "../../src/daemon/run-directory.ts";
import { memoryServerName } from "../../src/memory/memory-server.ts";
import { FarBucket } from "./testing/far-bucket.ts";
import { ownData } from "./testing/own-data.ts";
import { assertNoLeaks, type Served, serve, sharedData } from "./testing/served.ts";

const mebibyte = 2 ** 20;

interface Report {
  readonly memories: readonly {
    readonly name: string;
    readonly guests: readonly { readonly sandbox: string; readonly stalled: boolean }[];
  }[];
  readonly sandboxes: readonly { readonly id: string; readonly pid: number }[];
}

/** A bucket from which memory comes slowly. What a template reads first is known there. */
async function farBucket() {
  const from = path.join(sharedData(), "bucket");
  const known = () =>
    readdirSync(from, { recursive: true }).some((name) => String(name).endsWith("read-order.json"));
  if (!known()) {
    const first = await FarBucket.start({ from, latencyMs: 0, bytesPerSecond: 500 * mebibyte });
    await using data = await ownData();
    await using served = await serve(first.environment, data.directory);
    const sandbox = await Sandbox.create({ ...served.sdk });
    await sandbox.commands.run("echo first");
    await sandbox.kill();
    assert.ok(await first.save("read-order.json", from), "the first start has told what it read");
    await first[Symbol.asyncDispose]();
  }
  const line = { latencyMs: 20, bytesPerSecond: 40 * mebibyte, only: /memfile\.pack/ };
  const bucket = await FarBucket.start({ from, ...line });
  // What is known to be read first comes, and some more, and then no more.
  bucket.proxy.holdAt = bytesReadFirst(from) + 4 * mebibyte;
  return bucket;
}

/** Packed bytes of the memory that a template is known to read first. */
function bytesReadFirst(bucket: string): number {
  const files = readdirSync(bucket, { recursive: true }).map(String);
  const orderFile = files.find((name) => name.endsWith("read-order.json")) ?? assert.fail();
  const build = path.basename(path.dirname(orderFile));
  const { memfile } = JSON.parse(readFileSync(path.join(bucket, orderFile), "utf8")) as { memfile: number[] };
  const bytes = readFileSync(path.join(bucket, "builds", build, "memfile.index"));
  const index = ArtifactIndex.decode(bytes, { build, artifact: "memfile" });
  return memfile.reduce((sum, chunk) => {
    const place = index.chunk(chunk);
    return place.zero ? sum : sum + place.packedBytes;
  }, 0);
}

/** A daemon that has nothing yet, and how the next one on its data is started. */
async function far() {
  const stack = new AsyncDisposableStack();
  const bucket = stack.use(await farBucket());
  const data = stack.use(await ownData());
  const start = async () => stack.use(await serve(bucket.environment, data.directory));
  const served = await start();
  return { bucket, served, start, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A sandbox whose guest is up while the rest of its memory does not come. */
async function early({ served }: { served: Served }): Promise<Sandbox> {
  const options = { ...served.sdk, requestTimeoutMs: 120_000, timeoutMs: 600_000 };
  const sandbox = await Sandbox.create(options);
  assert.equal(await served.metric("larder_cache_seals_total"), 0, "it did not wait for all of its memory");
  return sandbox;
}

/** The same, and now it has to wait for its memory; with what becomes of the command that it runs. */
async function stalled(world: { served: Served }) {
  const sandbox = await early(world);
  const running = sandbox.commands.run(wander, { timeoutMs: 0 }).then(
    () => "ended well",
    () => "failed",
  );
  const isStalled = async () =>
    (await reportOf(world.served)).memories.some(({ guests }) => guests.some((guest) => guest.stalled));
  await until("it is stalled", isStalled, 55_000);
  return { sandbox, running };
}

async function reportOf({ apiKey, url }: Served): Promise<Report> {
  const answer = await fetch(`${url}/larder/report`, { headers: { "X-API-KEY": apiKey } });
  return (await answer.json()) as Report;
}

async function until(what: string, isSo: () => Promise<boolean>, msMax = 120_000): Promise<void> {
  const began = performance.now();
  while (!(await isSo())) {
    if (performance.now() - began > msMax) assert.fail(`not within ${msMax} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const whole = (served: Served) =>
  until("the memory is whole", async () => (await served.metric("larder_cache_seals_total")) === 1);

/** Kills what serves memories to the sandboxes of a node. */
async function killServers({ data }: Served): Promise<void> {
  const directory = runDirectoryOf(data, { env: process.env, uid: process.getuid?.() ?? 0 });
  const names = readdirSync(directory).filter((name) => memoryServerName.test(name));
  assert.equal(names.length, 1);
  for (const name of names)
    for (const each of await findByArgument(path.join(directory, name))) killByIdentity(each);
}

/** Touches much more memory than a guest has touched when it is up. */
const wander = `python3 -c 'print(6 * 7 + 0 * len(b"x" * 250_000_000))'`;

describe("a sandbox on a node that has nothing of its template", () => {
  it("starts before its memory is whole; that is finished and sealed, and the next one maps it", async () => {
    await using world = await far();
    const { bucket, served } = world;
    const first = await early(world);
    const { bytes } = bucket.proxy;
    bucket.proxy.holdAt = Infinity;
    assert.equal((await first.commands.run("echo early")).stdout, "early\n");
    await whole(served);
    assert.ok(
      bytes < 0.5 * bucket.proxy.bytes,
      `${bytes} of ${bucket.proxy.bytes} bytes of memory came before`,
    );
    const second = await Sandbox.create({ ...served.sdk });
    assert.equal(await served.metric("larder_memory_lazy_starts_total"), 1);
    const guests = (await reportOf(served)).memories.flatMap((each) => each.guests);
    assert.deepEqual(guests, [{ sandbox: first.sandboxId, stalled: false }]);
    const file = randomBytes(3 * mebibyte);
    for (const each of [first, second]) {
      await each.files.write("large", new Uint8Array(file).buffer);
      assert.ok(file.equals(await each.files.read("large", { format: "bytes" })));
      assert.match((await each.commands.run(wander)).stdout, /42/);
      await each.kill();
    }
    assert.deepEqual((await reportOf(served)).memories, []);
    await assertNoLeaks(served);
  });

  it("outlives its daemon, and its memory is finished by the next one; it can be paused and woken", async () => {
    await using world = await far();
    const { bucket, served: killed, start } = world;
    const { sandboxId: id } = await early(world);
    const before = await reportOf(killed);
    await killed.end("SIGKILL");
    const [{ pid } = assert.fail()] = before.sandboxes;
    assert.ok(startTimeOf(pid) !== undefined, "the machine runs on");
    bucket.proxy.holdAt = Infinity;
    const served = await start();
    assert.equal(await served.metric("larder_adoptions_total"), 1);
    assert.deepEqual(
      (await reportOf(served)).memories.map(({ name }) => name),
      before.memories.map(({ name }) => name),
    );
    const sandbox = await Sandbox.connect(id, served.sdk);
    await sandbox.files.write("/home/user/kept.txt", "kept");
    assert.match((await sandbox.commands.run(wander)).stdout, /42/);
    await sandbox.pause();
    assert.deepEqual((await reportOf(served)).memories, []);
    const woken = await Sandbox.connect(id, served.sdk);
    assert.equal(await woken.files.read("/home/user/kept.txt"), "kept");
    await woken.kill();
    await assertNoLeaks(served);
  });

  it("is stalled when its memory cannot be had, and ended when that lasts; nothing is left", async () => {
    await using world = await far();
    const { served } = world;
    const { running, sandbox } = await stalled(world);
    assert.equal(await served.metric("larder_memory_stalls_total"), 1);
    await until("it is ended", async () => !(await sandbox.isRunning()), 90_000);
    assert.equal(await served.metric("larder_memory_given_up_total"), 1);
    assert.equal(await running, "failed");
    assert.deepEqual((await reportOf(served)).memories, []);
    await assertNoLeaks(served);
  });

  it("can be killed at once while it waits for its memory", async () => {
    await using world = await far();
    const { running, sandbox } = await stalled(world);
    const began = performance.now();
    assert.equal(await sandbox.kill(), true);
    assert.ok(performance.now() - began < 5_000);
    assert.equal(await running, "failed");
    await assertNoLeaks(world.served);
  });

  it("is ended when what serves its memory is killed, also while no daemon runs; nothing is left", async () => {
    await using world = await far();
    const { served: killed, start } = world;
    const first = await early(world);
    await killServers(killed);
    await until("it is ended", async () => !(await first.isRunning()), 10_000);
    const { stdout } = await killed.larder("logs", first.sandboxId);
    assert.match(stdout, /what serves the memory of a guest is no more/);
    await assertNoLeaks(killed);

    await early(world);
    await killed.end("SIGKILL");
    await killServers(killed);
    const served = await start();
    assert.deepEqual(await Sandbox.list(served.sdk).nextItems(), []);
    assert.deepEqual((await reportOf(served)).memories, []);
    await assertNoLeaks(served);
  });
});
