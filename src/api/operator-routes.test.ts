import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestApi } from "./testing/test-api.ts";

describe("the operator's routes", () => {
  it("an operator sees the node and clears back-offs with a key only", async () => {
    await using api = await TestApi.start();
    assert.deepEqual((await api.call("GET", "/larder/report")).body, { builds: [] });
    assert.deepEqual((await api.call("POST", "/larder/cache/clear-backoffs")).body, { cleared: 3 });
    const build = "0b9c6f5e-0000-4000-8000-000000000001";
    assert.deepEqual((await api.call("POST", "/larder/cache/evict", { build })).body, { evicted: true });
    assert.deepEqual((await api.call("GET", `/larder/cache/builds/${build}`)).body, { build, bytes: 7 });
    const verified = await api.call("POST", "/larder/cache/verify", { build });
    assert.deepEqual(verified.body, { chunks: 4, damaged: 1 });
    assert.deepEqual((await api.call("POST", "/larder/cache/pin", { build })).body, { pinned: true });
    assert.ok(api.pinned.has(build));
    assert.deepEqual((await api.call("POST", "/larder/cache/unpin", { build })).body, { pinned: false });
    assert.ok(!api.pinned.has(build));
    api.collection = { freedBytes: { bucket: 5, shelf: 0 } };
    const collected = await api.call("POST", "/larder/templates/gc", { dryRun: true });
    assert.deepEqual(collected.body, { ...api.collection, dryRun: true });
    assert.equal((await api.call("POST", "/larder/templates/gc", { graceMs: 1000 })).status, 400);
    assert.equal((await api.call("POST", "/larder/cache/pin", { build: "no uuid" })).status, 400);
    assert.equal((await api.call("GET", "/larder/report", undefined, { "x-api-key": "" })).status, 401);
  });
});
