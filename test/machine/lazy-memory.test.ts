import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Sandbox } from "e2b";
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

/** A daemon that has nothing yet, and a bucket from which memory comes slowly. */
async function far(bytesPerSecond: number) {
  const stack = new AsyncDisposableStack();
  const data = stack.use(await ownData());
  const from = path.join(sharedData(), "bucket");
  const bucket = stack.use(
    await FarBucket.start({ from, latencyMs: 20, bytesPerSecond, only: /memfile\.pack/ }),
  );
  const start = async () => stack.use(await serve(bucket.environment, data.directory));
  return { bucket, start, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function reportOf({ apiKey, url }: Served): Promise<Report> {
  const answer = await fetch(`${url}/larder/report`, { headers: { "X-API-KEY": apiKey } });
  return (await answer.json()) as Report;
}

async function until(what: string, isSo: () => Promise<boolean>, msMax = 120_000): Promise<number> {
  const began = performance.now();
  while (!(await isSo())) {
    if (performance.now() - began > msMax) assert.fail(`${what} within ${msMax} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return performance.now() - began;
}

const isWhole = (served: Served) => async () => (await served.metric("larder_cache_seals_total")) === 1;

describe("a sandbox on a node that has nothing of its template", () => {
  it("starts before its memory is whole; that is finished and sealed, and the next one maps it", async () => {
    await using world = await far(5 * mebibyte);
    const served = await world.start();
    const first = await Sandbox.create({ ...served.sdk, requestTimeoutMs: 120_000 });
    const early = world.bucket.proxy.bytes;
    assert.equal(await served.metric("larder_cache_seals_total"), 0, "it did not wait");
    assert.equal((await first.commands.run("echo early")).stdout, "early\n");
    await until("the memory is whole", isWhole(served));
    const all = world.bucket.proxy.bytes;
    console.log({ early, all });
    const second = await Sandbox.create({ ...served.sdk });
    assert.equal(await served.metric("larder_memory_lazy_starts_total"), 1, "it is whole: it is mapped");
    assert.deepEqual(
      (await reportOf(served)).memories.flatMap(({ guests }) => guests),
      [{ sandbox: first.sandboxId, stalled: false }],
    );
    for (const each of [first, second]) {
      assert.match((await each.commands.run("python3 -c 'print(6*7)'")).stdout, /42/);
      await each.kill();
    }
    assert.deepEqual((await reportOf(served)).memories, []);
    await assertNoLeaks(served);
  });
});
