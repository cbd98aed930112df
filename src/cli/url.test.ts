import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestDaemon } from "./testing/test-daemon.ts";
import { addressOf } from "./url.ts";

describe("larder url", () => {
  it("prints where a port of a sandbox can be reached", async () => {
    await using daemon = await TestDaemon.start();
    const id = (await daemon.api.call("POST", "/sandboxes", { templateID: "base" })).body.sandboxID as string;
    const { code, terminal } = await daemon.larder(["url", id, "3000"]);
    const { port } = new URL(daemon.api.url);
    assert.deepEqual([code, terminal.printed], [0, `http://3000-${id}.localhost:${port}/\n`]);
  });

  it("knows no sandbox that is not there, and no port that is none", async () => {
    await using daemon = await TestDaemon.start();
    assert.equal((await daemon.larder(["url", "nobody", "3000"])).code, 1);
    assert.equal((await daemon.larder(["url", "nobody", "70000"])).code, 2);
  });

  it("names the domain that the daemon serves", () => {
    const remote = { url: "https://10.0.0.1:8700" };
    assert.equal(addressOf(remote, "80-i1", "box.example.org"), "https://80-i1.box.example.org:8700/");
    const clients = { sandboxes: "https://*.sbx.test:8443", variables: {} };
    const own = { url: "http://127.0.0.1:8700", clients };
    assert.equal(addressOf(own, "80-i1", undefined), "https://80-i1.sbx.test:8443/");
  });
});
