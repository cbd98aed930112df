import assert from "node:assert/strict";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Sandbox } from "e2b";
import { packsOf } from "./testing/packs.ts";
import { assertNoLeaks, serve, sharedData } from "./testing/served.ts";

/** Each misfortune of the bucket, done from outside to the files of a directory bucket, and taken back. */
const misfortunes: Record<string, (file: string) => Promise<void>> = {
  "loses its packs": (file) => rm(file),
  "holds truncated packs": async (file) => writeFile(file, (await readFile(file)).subarray(0, 1000)),
  "holds packs full of lies": async (file) =>
    writeFile(file, Buffer.alloc((await readFile(file)).length, 0x5a)),
};

describe("a daemon whose bucket misbehaves", () => {
  for (const [what, harm] of Object.entries(misfortunes)) {
    it(`whose bucket ${what} says so, and is healthy again without a restart`, async () => {
      await rm(path.join(sharedData(), "shelf"), { recursive: true, force: true });
      await using served = await serve();
      const packs = await packsOf(served.data);
      for (const pack of packs) {
        await rename(pack, `${pack}.kept`);
        await writeFile(pack, await readFile(`${pack}.kept`));
        await harm(pack);
      }
      try {
        await assert.rejects(Sandbox.create({ ...served.sdk, requestTimeoutMs: 20_000 }));
      } finally {
        for (const pack of packs) await rename(`${pack}.kept`, pack);
      }
      const sandbox = await Sandbox.create({ ...served.sdk });
      assert.equal((await sandbox.commands.run("echo healed")).stdout, "healed\n");
      await sandbox.kill();
    });
  }
});

describe("a daemon that was killed", () => {
  it("keeps its templates and tokens, and its sandboxes can be killed by the next one", async () => {
    const first = await serve();
    const sandbox = await Sandbox.create({ ...first.sdk });
    await first.end("SIGKILL");
    await using second = await serve();
    assert.equal(await Sandbox.kill(sandbox.sandboxId, second.sdk), true);
    await assertNoLeaks(second);
    const again = await Sandbox.create({ ...second.sdk });
    await again.kill();
  });

  it("leaves nothing behind after many creates and kills, in a row and at once", async () => {
    await using served = await serve();
    for (let i = 0; i < 4; i++) await (await Sandbox.create({ ...served.sdk })).kill();
    const together = await Promise.all(Array.from({ length: 6 }, () => Sandbox.create({ ...served.sdk })));
    await Promise.all(together.map((sandbox) => sandbox.kill()));
    const impatient = AbortSignal.timeout(150);
    await assert.rejects(
      fetch(`${served.url}/v2/sandboxes`, {
        method: "POST",
        headers: { "X-API-KEY": served.apiKey, "content-type": "application/json" },
        body: "{}",
        signal: impatient,
      }),
    );
    const paginator = Sandbox.list(served.sdk);
    let running = await paginator.nextItems();
    for (let i = 0; i < 100 && running.length > 0; i++) running = await Sandbox.list(served.sdk).nextItems();
    await assertNoLeaks(served);
    assert.equal(await served.metric("larder_cache_leases"), 0);
  });
});
