import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as newest from "e2b";
import * as older from "e2b-2.45";
import { AgentFixture } from "./testing/agent-fixture.ts";
import { PlainProxy } from "./testing/plain-proxy.ts";
import { Screen } from "./testing/screen.ts";

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

  it("keeps metadata with a file, and tells it wherever the file is shown", async () => {
    const { files } = open(newest);
    const path = join(directory, "noted");
    const metadata = { owner: "ada" };
    assert.deepEqual((await files.write(path, "x", { metadata })).metadata, metadata);
    assert.deepEqual((await files.getInfo(path)).metadata, metadata);
    assert.deepEqual((await files.list(directory)).find(({ name }) => name === "noted")?.metadata, metadata);
  });

  it("lets anybody use a signed URL, for one purpose and until its time is over", async () => {
    const sandbox = open(newest);
    const path = join(directory, "signed");
    const form = new FormData();
    form.append("file", new Blob(["through a URL"]), "signed");
    const upload = await sandbox.uploadUrl(path, { useSignatureExpiration: 60 });
    assert.equal((await fetch(upload, { method: "POST", body: form })).status, 200);
    assert.equal((await fetch(upload)).status, 401);
    const download = await sandbox.downloadUrl(path);
    assert.equal(await (await fetch(download)).text(), "through a URL");
    const late = await fetch(await sandbox.downloadUrl(path, { useSignatureExpiration: -1 }));
    assert.deepEqual(
      [late.status, await late.json()],
      [401, { code: 401, message: "signature is already expired" }],
    );
  });

  it("keeps a repository by the client's helpers for git", async () => {
    const { git, files } = open(newest);
    const path = join(directory, "repository");
    await git.init(path, { initialBranch: "main" });
    await git.configureUser("Ada", "ada@example.org", { scope: "local", path });
    await files.write(join(path, "a"), "1");
    assert.equal((await git.status(path)).hasUntracked, true);
    await git.add(path);
    await git.commit(path, "first");
    await git.createBranch(path, "other");
    const { branches, currentBranch } = await git.branches(path);
    assert.deepEqual([branches.toSorted(), currentBranch], [["main", "other"], "other"]);
    assert.equal((await git.status(path)).isClean, true);
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

    it(`opens a terminal, types into it, makes it larger, finds it again and ends it, ${version}`, async () => {
      const { pty } = open(sdk);
      const screen = new Screen();
      const handle = await pty.create({ cols: 80, rows: 24, onData: screen.show, timeoutMs: 0, cwd: "/tmp" });
      const type = (text: string) => pty.sendInput(handle.pid, Buffer.from(text));
      await type("stty size; echo $TERM\n");
      await screen.until(/24 80\r\nxterm-256color/);
      await pty.resize(handle.pid, { cols: 132, rows: 43 });
      await handle.disconnect();
      const again = new Screen();
      const found = await pty.connect(handle.pid, { onData: again.show });
      await type("stty size\n");
      await again.until(/43 132/);
      const ended = assert.rejects(found.wait());
      assert.equal(await pty.kill(handle.pid), true);
      await ended;
      assert.equal(await pty.kill(handle.pid), false);
    });

    it(`is told of what changes in a directory, ${version}`, async () => {
      const { files } = open(sdk);
      const folder = join(directory, `watched-${version}`);
      await files.makeDir(folder);
      const screen = new Screen();
      const watching = await files.watchDir(folder, ({ type, name }) => screen.show(`${type} ${name}\n`), {
        recursive: true,
      });
      await files.write(join(folder, "sub/new"), "x");
      await files.rename(join(folder, "sub/new"), join(folder, "old"));
      await files.remove(join(folder, "old"));
      await screen.until(
        /create sub\n[^]*create sub\/new\n[^]*rename sub\/new\n[^]*create old\n[^]*remove old\n/,
      );
      await watching.stop();
    });

    it(`is not let in without the token, ${version}`, async () => {
      await assert.rejects(open(sdk, "wrong").commands.run("true"), sdk.AuthenticationError);
      await assert.rejects(open(sdk, "wrong").files.read("/etc/hostname"), sdk.AuthenticationError);
    });
  }
});
