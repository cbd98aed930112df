import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import * as newest from "e2b";
import * as older from "e2b-2.45";
import { AgentFixture } from "../agent/testing/agent-fixture.ts";
import { TestApi, testKey } from "./testing/test-api.ts";

/** What both generations of the client offer alike. */
const sdks = { newest, "2.45.0": older as unknown as typeof newest };

describe("the unmodified client, through the API to an agent", () => {
  let agent: AgentFixture;
  let directory: string;
  before(async () => {
    agent = await AgentFixture.start();
    directory = await mkdtemp(path.join(tmpdir(), "larder-sdk-"));
  });
  after(async () => {
    await agent[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  /** One sandbox, whose guest is a process of this host. */
  async function create(api: TestApi, { Sandbox }: typeof newest) {
    api.sandboxes.guest = agent.channel;
    const options = { apiKey: testKey, apiUrl: api.url, sandboxUrl: api.url };
    return await Sandbox.create({ ...options, secure: true });
  }

  for (const [version, sdk] of Object.entries(sdks)) {
    it(`runs commands and moves files, ${version}`, async () => {
      await using api = await TestApi.start();
      const sandbox = await create(api, sdk);
      assert.equal(await sandbox.isRunning(), true);
      const result = await sandbox.commands.run("echo out; echo err >&2; cd /tmp && pwd");
      assert.deepEqual([result.exitCode, result.stdout, result.stderr], [0, "out\n/tmp\n", "err\n"]);
      await assert.rejects(sandbox.commands.run("exit 3"), { name: "CommandExitError", exitCode: 3 });
      const file = path.join(directory, version, "notes/a.txt");
      await sandbox.files.write(file, "kept");
      assert.equal(await sandbox.files.read(file), "kept");
      const names = (await sandbox.files.list(path.dirname(file))).map(({ name }) => name);
      assert.deepEqual(names, ["a.txt"]);
      await assert.rejects(sandbox.files.read("/nonexistent"), sdk.FileNotFoundError ?? sdk.NotFoundError);
    });

    it(`streams what a command prints while it runs, and ends it when asked to, ${version}`, async () => {
      await using api = await TestApi.start();
      const sandbox = await create(api, sdk);
      const first = Promise.withResolvers<string>();
      const handle = await sandbox.commands.run("echo first; exec sleep 60", {
        background: true,
        onStdout: (text) => first.resolve(text),
      });
      assert.equal(await first.promise, "first\n");
      assert.equal(await handle.kill(), true);
      await assert.rejects(handle.wait());
    });

    it(`moves large files whole, ${version}`, async () => {
      await using api = await TestApi.start();
      const sandbox = await create(api, sdk);
      const bytes = new Uint8Array(6 * 1024 * 1024).map((_, i) => (i * 7) % 251);
      const file = path.join(directory, `${version}.bin`);
      await sandbox.files.write(file, bytes.buffer);
      const back = await sandbox.files.read(file, { format: "bytes" });
      assert.ok(Buffer.from(back).equals(Buffer.from(bytes)));
    });

    it(`goes on after the answer that the disk is full, ${version}`, async () => {
      await using api = await TestApi.start();
      const sandbox = await create(api, sdk);
      for (let turn = 0; turn < 3; turn++) {
        const full = sandbox.files.write("/dev/full", new ArrayBuffer(2 * 1024 * 1024));
        await assert.rejects(full, sdk.NotEnoughSpaceError);
        const file = path.join(directory, version, "fits.txt");
        await sandbox.files.write(file, "kept");
        assert.equal(await sandbox.files.read(file), "kept");
      }
    });

    it(`is told when the sandbox is gone, ${version}`, async () => {
      await using api = await TestApi.start();
      const sandbox = await create(api, sdk);
      await sandbox.kill();
      assert.equal(await sandbox.isRunning(), false);
      await assert.rejects(sandbox.commands.run("true"));
      await assert.rejects(sandbox.files.read("/etc/hostname"));
    });
  }
});
