import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as newest from "e2b";
import * as older from "e2b-2.45";
import { AgentFixture } from "./testing/agent-fixture.ts";
import { PlainProxy } from "./testing/plain-proxy.ts";

const sdks = { newest, "2.45.0": older as unknown as typeof newest };
const accessToken = "the-token";
describe("the published client, pointed at an agent", () => {
  let agent: AgentFixture;
  let proxy: PlainProxy;
  let directory: string;
  before(async () => {
    agent = await AgentFixture.start();
    await agent.init({ accessToken, envVars: { GREETING: "hello" } });
    proxy = await PlainProxy.listen(agent.channel);
    directory = await mkdtemp(join(tmpdir(), "larder-sdk-"));
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await agent[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  const open = ({ Sandbox }: typeof newest, envdAccessToken = accessToken) =>
    new Sandbox({
      sandboxId: "i0",
      envdVersion: "0.6.13",
      envdAccessToken,
      sandboxUrl: proxy.url,
      apiKey: "e2b_00",
    });

  for (const [version, sdk] of Object.entries(sdks)) {
    it(`speaks to a command that runs: input, list, a second listener, its end, ${version}`, async () => {
      const sandbox = open(sdk);
      const seen: string[] = [];
      const first = Promise.withResolvers<void>();
      const onStdout = (text: string) => (seen.push(text), first.resolve());
      const run = { background: true, stdin: true, cwd: "/tmp", onStdout } as const;
      const handle = await sandbox.commands.run(
        'echo "$GREETING"; read line; echo "got $line"; exec sleep 60',
        run,
      );
      await first.promise;
      assert.deepEqual(seen, ["hello\n"]);
      assert.ok((await sandbox.commands.list()).some(({ pid }) => pid === handle.pid));
      const late = Promise.withResolvers<string>();
      const second = await sandbox.commands.connect(handle.pid, {
        onStdout: (text: string) => late.resolve(text),
      });
      await sandbox.commands.sendStdin(handle.pid, "me\n");
      assert.equal(await late.promise, "got me\n");
      const ends = [assert.rejects(handle.wait()), assert.rejects(second.wait())];
      assert.equal(await sandbox.commands.kill(handle.pid), true);
      await Promise.all(ends);
      assert.equal(await sandbox.commands.kill(handle.pid), false);
    });

    it(`ends a command that takes longer than it may, ${version}`, async () => {
      const running = open(sdk).commands.run("exec sleep 60", { timeoutMs: 800, cwd: "/tmp" });
      await assert.rejects(running, sdk.TimeoutError);
    });

    it(`writes, reads, lists, renames and removes files, ${version}`, async () => {
      const { files } = open(sdk);
      const folder = join(directory, version);
      assert.equal(await files.makeDir(folder), true);
      assert.equal(await files.makeDir(folder), false);
      const written = await files.write([
        { path: join(folder, "b/one"), data: "1" },
        { path: join(folder, "two"), data: new Uint8Array([0, 255, 10]).buffer },
      ]);
      assert.deepEqual(
        written.map(({ path }) => path),
        [join(folder, "b/one"), join(folder, "two")],
      );
      assert.deepEqual(
        await files.read(join(folder, "two"), { format: "bytes" }),
        new Uint8Array([0, 255, 10]),
      );
      await files.rename(join(folder, "two"), join(folder, "three"));
      assert.equal(await files.exists(join(folder, "two")), false);
      assert.deepEqual(
        (await files.list(folder)).map(({ name }) => name),
        ["b", "three"],
      );
      await files.write(join(folder, "empty"), "");
      assert.equal(await files.read(join(folder, "empty")), "");
      await files.remove(folder);
      assert.equal(await files.exists(folder), false);
    });

    it(`is not let in without the token, ${version}`, async () => {
      await assert.rejects(open(sdk, "wrong").commands.run("true"), sdk.AuthenticationError);
      await assert.rejects(open(sdk, "wrong").files.read("/etc/hostname"), sdk.AuthenticationError);
    });
  }
});
