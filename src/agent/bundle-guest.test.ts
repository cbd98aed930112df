import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { bundleGuest } from "./bundle-guest.ts";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";

describe("bundleGuest", () => {
  it("gives the same bytes for the same sources, with nothing that needs a compiler at run time", async () => {
    const bundle = await bundleGuest();
    const before = process.cwd();
    process.chdir(tmpdir());
    const elsewhere = await bundleGuest().finally(() => process.chdir(before));
    assert.ok(bundle.equals(elsewhere), "started from another directory, too");
    assert.doesNotMatch(bundle.toString(), /WebAssembly|\beval\(|new Function\(/);
    const modules = [...bundle.toString().matchAll(/require\("([^"]*)"\)/g)].map(([, name = ""]) => name);
    for (const name of modules)
      assert.match(name, /^node:|^(crypto|events|http|http2|https|stream|util|url|zlib|net|tls)$/);
  });

  it("makes a program that works where nothing is compiled at run time", async () => {
    const directory = await mkdtemp(join(tmpdir(), "larder-bundle-"));
    const program = join(directory, "agent.cjs");
    const source = fileURLToPath(new URL("./testing/local-guest.ts", import.meta.url));
    await writeFile(program, await bundleGuest(source));
    {
      await using agent = await AgentFixture.start({ program, nodeArguments: ["--jitless"] });
      await agent.client.health(patience());
      assert.equal((await agent.client.run("echo $((6 * 7))", { cwd: "/" }, patience())).stdout, "42\n");
      const file = encodeURIComponent(join(directory, "x"));
      const headers = { "content-type": "application/octet-stream" };
      const posted = await agent.ask({
        method: "POST",
        path: `/files?path=${file}`,
        headers,
        body: Buffer.from("x"),
      });
      assert.equal(posted.status, 200);
      assert.equal((await agent.ask({ path: `/files?path=${file}` })).body.toString(), "x");
      assert.equal((await agent.ask({ path: "/metrics" })).status, 200);
    }
    await rm(directory, { recursive: true });
  });
});
