import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AuthenticationError, NotEnoughSpaceError, Sandbox } from "e2b";
import { Screen } from "../../src/agent/testing/screen.ts";
import { type Served, serve } from "./testing/served.ts";

const mib = 1024 * 1024;

describe("the agent in a real machine", () => {
  let served: Served;
  let sandbox: Sandbox;
  before(async () => {
    served = await serve();
    sandbox = await Sandbox.create({ ...served.sdk, envs: { GREETING: "hello" }, timeoutMs: 3_600_000 });
  });
  after(async () => {
    await sandbox.kill();
    await served[Symbol.asyncDispose]();
  });

  it("opens a terminal that a shell controls, and changes its size", async () => {
    const screen = new Screen();
    const { pid } = await sandbox.pty.create({ cols: 80, rows: 24, onData: screen.show, timeoutMs: 0 });
    const type = (text: string) => sandbox.pty.sendInput(pid, Buffer.from(text));
    await type("id -un; stty size; sleep 100\n");
    await screen.until(/user\r\n24 80\r\n/);
    await type("\u0003");
    await sandbox.pty.resize(pid, { cols: 132, rows: 43 });
    await type("stty size; tty\n");
    await screen.until(/43 132\r\n\/dev\/pts\/\d+\r\n/);
    assert.equal(await sandbox.pty.kill(pid), true);
  });

  it("tells what changes in a directory, and in those that appear in it", async () => {
    const screen = new Screen();
    await sandbox.files.makeDir("watched");
    const handle = await sandbox.files.watchDir(
      "watched",
      ({ type, name, entry }) => screen.show(`${type} ${name} ${entry?.size ?? ""}\n`),
      { recursive: true, includeEntry: true },
    );
    const shows = (line: string) => screen.until(new RegExp(`^${line} `, "m"));
    // What happens in a new directory before it is watched is told as far as it can still be found there.
    await sandbox.commands.run("mkdir -p watched/a/b && echo 1234 > watched/a/b/c");
    for (const line of ["create a", "create a/b", "create a/b/c"]) await shows(line);
    await sandbox.commands.run("cd watched && chmod 600 a/b/c && mv a/b/c d && rm d");
    for (const line of ["chmod a/b/c", "rename a/b/c", "create d", "remove d"]) await shows(line);
    await handle.stop();
  });

  it("keeps metadata in the file system, and says when that is full", async () => {
    const metadata = { owner: "ada" };
    await sandbox.files.write("noted", "x", { metadata });
    await sandbox.commands.run("mv noted renamed");
    assert.deepEqual((await sandbox.files.getInfo("renamed")).metadata, metadata);
    await sandbox.commands.run("mkdir /small && mount -t tmpfs -o size=1m none /small", { user: "root" });
    await assert.rejects(sandbox.files.write("/small/large", new ArrayBuffer(2 * mib)), NotEnoughSpaceError);
    await sandbox.files.write("after", "y");
  });

  it("keeps a repository by the client's helpers for git", async () => {
    await sandbox.git.init("repository", { initialBranch: "main" });
    await sandbox.git.configureUser("Ada", "ada@example.org");
    await sandbox.files.write("repository/a", "1");
    await sandbox.git.add("repository");
    await sandbox.git.commit("repository", "first");
    assert.equal((await sandbox.git.status("repository")).isClean, true);
  });

  it("carries 64 MiB both ways, byte by byte, and answers others meanwhile", async () => {
    const bytes = Buffer.alloc(64 * mib);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
    const over = new AbortController();
    const carried = (async () => {
      await sandbox.files.write("large", new Uint8Array(bytes).buffer, { requestTimeoutMs: 0 });
      const back = await sandbox.files.read("large", { format: "bytes", requestTimeoutMs: 0 });
      over.abort();
      return back;
    })();
    // Not without a pause: under emulation the answers take the processor that the file needs.
    for (; !over.signal.aborted; await new Promise((resolve) => setTimeout(resolve, 1_000)))
      assert.equal(await sandbox.isRunning({ requestTimeoutMs: 60_000 }), true);
    assert.ok(bytes.equals(await carried));
  });

  it("is started again when it dies, knows what it knew, and is found by the daemon", async () => {
    const server = await sandbox.commands.run("exec sleep 100", { background: true });
    const waiting = assert.rejects(server.wait());
    await assert.rejects(sandbox.commands.run("kill -9 $PPID", { user: "root" }));
    await waiting;
    const { stdout } = await sandbox.commands.run("echo $GREETING; id -un; pwd");
    assert.equal(stdout, "hello\nuser\n/home/user\n");
    assert.equal(await sandbox.isRunning(), true);
    const { pid } = server;
    assert.ok((await sandbox.commands.list()).some((each) => each.pid === pid));
    const again = await sandbox.commands.connect(pid);
    assert.equal(await again.kill(), true);
    await assert.rejects(again.wait());
    assert.ok(!(await sandbox.commands.list()).some((each) => each.pid === pid));
    const stranger = new Sandbox({
      ...served.sdk,
      sandboxId: sandbox.sandboxId,
      envdVersion: "0.6.13",
      envdAccessToken: "another",
    });
    await assert.rejects(stranger.commands.run("true"), AuthenticationError);
  });
});
