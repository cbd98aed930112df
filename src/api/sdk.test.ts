import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as newest from "e2b";
import * as older from "e2b-2.45";
import { Failure } from "../base/failure.ts";
import { TestApi, testKey } from "./testing/test-api.ts";

/** What both generations of the client offer alike. */
const sdks = { newest, "2.45.0": older as unknown as typeof newest };

for (const [version, { Sandbox, Template, SandboxNotFoundError, RateLimitError }] of Object.entries(sdks)) {
  describe(`the unmodified client, ${version}`, () => {
    const options = (api: TestApi) => ({ apiKey: testKey, apiUrl: api.url, sandboxUrl: api.url, retries: 0 });

    it("creates, finds, extends, connects to and ends a sandbox", async () => {
      await using api = await TestApi.start();
      const settings = { metadata: { owner: "me" }, envs: { GREETING: "hello" }, timeoutMs: 120_000 };
      const sandbox = await Sandbox.create({ ...options(api), ...settings, allowInternetAccess: false });
      const [asked] = api.sandboxes.asked;
      assert.deepEqual([asked?.metadata, asked?.envs], [settings.metadata, settings.envs]);
      assert.deepEqual([asked?.timeoutMs, asked?.allowInternet, asked?.secure], [120_000, false, true]);
      const info = await sandbox.getInfo();
      assert.deepEqual([info.sandboxId, info.name, info.state], [sandbox.sandboxId, "base", "running"]);
      assert.deepEqual([info.metadata, info.allowInternetAccess], [{ owner: "me" }, false]);
      assert.deepEqual(info.lifecycle, { onTimeout: "kill", autoResume: false });
      await sandbox.setTimeout(30_000);
      const { startedAt, endAt } = await sandbox.getInfo();
      assert.equal(endAt.getTime() - startedAt.getTime(), 30_000);
      const again = await Sandbox.connect(sandbox.sandboxId, options(api));
      assert.equal(again.sandboxId, sandbox.sandboxId);
      assert.equal(await sandbox.kill(), true);
      assert.equal(await sandbox.kill(), false);
      await assert.rejects(Sandbox.connect(sandbox.sandboxId, options(api)), SandboxNotFoundError);
      await assert.rejects(sandbox.setTimeout(1000), SandboxNotFoundError);
      assert.equal(await sandbox.isRunning(), false);
    });

    it("pages through all sandboxes in order, each once", async () => {
      await using api = await TestApi.start();
      const made: string[] = [];
      for (let i = 0; i < 7; i++) made.unshift((await Sandbox.create(options(api))).sandboxId);
      const paginator = Sandbox.list({ ...options(api), limit: 3 });
      const pages: string[][] = [];
      while (paginator.hasNext) pages.push((await paginator.nextItems()).map(({ sandboxId }) => sandboxId));
      assert.deepEqual(
        pages.map((page) => page.length),
        [3, 3, 1],
      );
      assert.deepEqual(pages.flat(), made);
    });

    it("filters by metadata, whatever characters it holds, and by state", async () => {
      await using api = await TestApi.start();
      const metadata = { "user name": "a b&c=d%20+é", team: "x" };
      const { sandboxId } = await Sandbox.create({ ...options(api), metadata });
      await Sandbox.create({ ...options(api), metadata: { team: "x" } });
      const found = async (query: object) =>
        (await Sandbox.list({ ...options(api), query }).nextItems()).map((info) => info.sandboxId);
      assert.deepEqual(await found({ metadata }), [sandboxId]);
      assert.equal((await found({ metadata: { team: "x" } })).length, 2);
      assert.equal((await found({ metadata: { team: "y" } })).length, 0);
      assert.equal((await found({ state: ["running"] })).length, 2);
      assert.equal((await found({ state: ["paused"] })).length, 0);
    });

    it("pauses, once, and resumes by connecting", async () => {
      await using api = await TestApi.start();
      const lifecycle = { onTimeout: "pause" } as const;
      const sandbox = await Sandbox.create({ ...options(api), lifecycle });
      const { sandboxId: id } = sandbox;
      assert.equal(api.sandboxes.asked[0]?.lifecycle?.onTimeout, "pause");
      assert.equal(await sandbox.pause(), true);
      assert.equal(await sandbox.pause(), false);
      assert.deepEqual(api.sandboxes.pauses, [{ id, memory: true }]);
      assert.equal((await Sandbox.getInfo(id, options(api))).state, "paused");
      assert.equal(await sandbox.isRunning(), false);
      await Sandbox.connect(id, options(api));
      assert.equal((await Sandbox.getInfo(id, options(api))).state, "running");
    });

    it("makes snapshots, lists and deletes them, and forks", async () => {
      await using api = await TestApi.start();
      const sandbox = await Sandbox.create(options(api));
      const { snapshotId } = await sandbox.createSnapshot();
      const named = await sandbox.createSnapshot({ name: "mine" });
      assert.deepEqual(named.names ?? ["mine:default"], ["mine:default"]);
      const listed = await Sandbox.listSnapshots(options(api)).nextItems();
      assert.deepEqual(
        listed.map((each) => each.snapshotId),
        [named.snapshotId, snapshotId],
      );
      assert.equal(await Sandbox.deleteSnapshot(named.snapshotId, options(api)), true);
      assert.equal(await Sandbox.deleteSnapshot("ns/snap:default", options(api)), false);
      api.snapshots.forkFailure = new Failure("exhausted", "the node is full");
      const answer = await api.call("POST", `/sandboxes/${sandbox.sandboxId}/fork`, {
        count: 2,
        timeout: 60,
      });
      assert.equal(answer.status, 201);
      assert.equal(answer.body[0].sandbox.envdAccessToken, "token");
      assert.deepEqual(answer.body[1], { error: { code: 429, message: "the node is full" } });
      assert.equal(
        (await api.call("POST", `/sandboxes/${sandbox.sandboxId}/fork`, { count: 0 })).status,
        400,
      );
      assert.equal((await api.call("POST", "/sandboxes/i9999/fork", {})).status, 404);
    });

    it("may deny a sandbox everything by a rule", async () => {
      await using api = await TestApi.start();
      const denyOut = ["0.0.0.0/0"];
      const sandbox = await Sandbox.create({
        ...options(api),
        network: { denyOut },
        allowInternetAccess: true,
      });
      assert.equal(api.sandboxes.asked[0]?.allowInternet, false);
      const info = await sandbox.getInfo();
      assert.deepEqual([info.allowInternetAccess, info.network?.denyOut], [false, denyOut]);
      const one = Sandbox.create({ ...options(api), network: { denyOut: ["8.8.8.8"] } });
      await assert.rejects(one, /field 'network\.denyOut'/);
    });

    it("is told in words what is not supported, and when the node is full", async () => {
      await using api = await TestApi.start();
      const network = { allowOut: ["1.1.1.1"] };
      await assert.rejects(Sandbox.create({ ...options(api), network }), /field 'network\.allowOut'/);
      const missing = Sandbox.create("nope", options(api));
      await assert.rejects(missing, /there is no template 'nope'/);
      api.sandboxes.nextFailure = new Failure("exhausted", "all places are taken");
      await assert.rejects(Sandbox.create(options(api)), RateLimitError);
    });

    it("finds templates by name", async () => {
      await using api = await TestApi.start();
      assert.equal(await Template.exists("base", options(api)), true);
      assert.equal(await Template.exists("nope", options(api)), false);
    });

    it("is refused with a wrong key", async () => {
      await using api = await TestApi.start();
      await assert.rejects(Sandbox.create({ ...options(api), apiKey: "e2b_00" }), {
        name: "AuthenticationError",
      });
    });
  });
}

describe("the newest client", () => {
  it("filters by template and by start, and turns the order around", async () => {
    await using api = await TestApi.start();
    const options = { apiKey: testKey, apiUrl: api.url, sandboxUrl: api.url };
    const first = await newest.Sandbox.create(options);
    const second = await newest.Sandbox.create(options);
    const ids = async (more: Parameters<typeof newest.Sandbox.list>[0]) =>
      (await newest.Sandbox.list({ ...options, ...more }).nextItems()).map((info) => info.sandboxId);
    assert.deepEqual(await ids({ order: "asc" }), [first.sandboxId, second.sandboxId]);
    const { startedAt } = await second.getInfo();
    assert.deepEqual(await ids({ query: { startedAfter: startedAt } }), [second.sandboxId]);
    assert.deepEqual(await ids({ query: { template: "nope" } }), []);
    assert.equal((await ids({ query: { template: "base" } })).length, 2);
  });
});
