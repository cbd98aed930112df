import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { appendFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { EventType, type FilesystemEvent } from "./protocol/generated/filesystem_pb.js";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";

const withCode = (code: Code) => (error: unknown) => error instanceof ConnectError && error.code === code;
const lineOf = ({ type, name }: FilesystemEvent) => `${EventType[type]} ${name}`;

let agent: AgentFixture;
let directory: string;
const at = (...parts: string[]) => join(directory, ...parts);

/** Watches until it is disposed of; `until` reads as far as a line, and gives all lines that were not read before. */
async function watch(options: { recursive?: boolean; includeEntry?: boolean; path?: string } = {}) {
  const leaving = new AbortController();
  const signal = AbortSignal.any([leaving.signal, patience()]);
  const request = { path: directory, ...options };
  const events = agent.files.watchDir(request, { signal })[Symbol.asyncIterator]();
  assert.equal((await events.next()).value?.event.case, "start");
  const next = async () => {
    const { value, done } = await events.next();
    if (done === true || value.event.case !== "filesystem")
      return assert.fail(`no event: ${value?.event.case}`);
    return value.event.value;
  };
  const until = async (last: string) => {
    const lines: string[] = [];
    while (lines.at(-1) !== last) lines.push(lineOf(await next()));
    return lines;
  };
  return { next, until, [Symbol.dispose]: () => leaving.abort() };
}

before(async () => (agent = await AgentFixture.start()));
after(async () => await agent[Symbol.asyncDispose]());
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), "larder-watch-"))));
afterEach(async () => await rm(directory, { recursive: true, force: true }));

describe("WatchDir", () => {
  it("tells each kind of change from the others", async () => {
    using watched = await watch();
    await writeFile(at("a"), "1");
    assert.deepEqual(await watched.until("WRITE a"), ["CREATE a", "WRITE a"]);
    await chmod(at("a"), 0o600);
    await rename(at("a"), at("b"));
    await rm(at("b"));
    assert.deepEqual(await watched.until("REMOVE b"), ["CHMOD a", "RENAME a", "CREATE b", "REMOVE b"]);
  });

  it("tells nothing of what lies deeper, unless it is asked to", async () => {
    await mkdir(at("deep"));
    using watched = await watch();
    using deeply = await watch({ recursive: true });
    await writeFile(at("deep/x"), "");
    await writeFile(at("y"), "");
    assert.deepEqual(await watched.until("CREATE y"), ["CREATE y"]);
    assert.deepEqual(await deeply.until("CREATE y"), ["CREATE deep/x", "CREATE y"]);
  });

  it("misses nothing in directories that appear, however fast they are filled, and says nothing twice", async () => {
    using watched = await watch({ recursive: true });
    const expected: string[] = [];
    for (let i = 0; i < 20; i++) {
      await mkdir(at(`${i}/in`), { recursive: true });
      await writeFile(at(`${i}/in/file`), "");
      expected.push(`CREATE ${i}`, `CREATE ${i}/in`, `CREATE ${i}/in/file`);
    }
    await writeFile(at("end"), "");
    const lines = await watched.until("CREATE end");
    assert.deepEqual(lines.toSorted(), [...expected, "CREATE end"].toSorted());
  });

  it("follows a directory that is moved, and forgets one that is moved away", async () => {
    await mkdir(at("in/old/sub"), { recursive: true });
    await mkdir(at("out"));
    using watched = await watch({ recursive: true, path: at("in") });
    await rename(at("in/old"), at("in/new"));
    await writeFile(at("in/new/sub/x"), "");
    assert.deepEqual(await watched.until("CREATE new/sub/x"), [
      "RENAME old",
      "CREATE new",
      "CREATE new/sub/x",
    ]);
    await rename(at("in/new"), at("out/new"));
    await writeFile(at("out/new/sub/y"), "");
    await writeFile(at("in/end"), "");
    assert.deepEqual(await watched.until("CREATE end"), ["RENAME new", "CREATE end"]);
  });

  it("shows with a change what it left there, if that is wanted and still there", async () => {
    using watched = await watch({ includeEntry: true });
    await writeFile(at("kept"), "12345");
    await watched.until("WRITE kept");
    await writeFile(at("gone"), "");
    await rm(at("gone"));
    await watched.until("REMOVE gone");
    await writeFile(at("kept"), "123456");
    const { entry, name } = await watched.next();
    assert.deepEqual([name, entry?.path, entry?.name], ["kept", at("kept"), "kept"]);
  });

  it("watches a directory through a link, and for several clients at once", async () => {
    await mkdir(at("real"));
    await symlink("real", at("link"));
    using one = await watch({ path: at("link") });
    {
      using other = await watch({ path: at("real") });
      await writeFile(at("real/x"), "");
      for (const each of [one, other]) assert.deepEqual(await each.until("CREATE x"), ["CREATE x"]);
    }
    await writeFile(at("real/y"), "");
    assert.deepEqual(await one.until("CREATE y"), ["CREATE y"]);
  });

  it("tells the end of what it watches, and gives signs of life after that", async () => {
    await mkdir(at("doomed"));
    const headers = { "keepalive-ping-interval": "1" };
    const leaving = new AbortController();
    const options = { headers, signal: leaving.signal };
    const events = agent.files.watchDir({ path: at("doomed") }, options)[Symbol.asyncIterator]();
    await events.next();
    await rm(at("doomed"), { recursive: true });
    const { value } = await events.next();
    assert.equal(value?.event.case === "filesystem" && lineOf(value.event.value), "REMOVE .");
    assert.equal((await events.next()).value?.event.case, "keepalive");
    leaving.abort();
  });

  it("refuses what cannot be watched", async () => {
    await writeFile(at("file"), "");
    await assert.rejects(watch({ path: at("none") }), withCode(Code.NotFound));
    await assert.rejects(watch({ path: at("file") }), withCode(Code.InvalidArgument));
  });
});

describe("a watcher that is polled", () => {
  it("keeps what has changed until it is asked, and is gone when it was removed", async () => {
    const { watcherId } = await agent.files.createWatcher({ path: directory, recursive: true });
    const lines = async () => (await agent.files.getWatcherEvents({ watcherId })).events.map(lineOf);
    assert.deepEqual(await lines(), []);
    await mkdir(at("sub"));
    await writeFile(at("sub/x"), "");
    const told: string[] = [];
    while (told.length < 2) told.push(...(await lines()));
    assert.deepEqual(told, ["CREATE sub", "CREATE sub/x"]);
    await agent.files.removeWatcher({ watcherId });
    await assert.rejects(agent.files.getWatcherEvents({ watcherId }), withCode(Code.NotFound));
    await assert.rejects(agent.files.removeWatcher({ watcherId }), withCode(Code.NotFound));
  });

  it("says so when more changed than it keeps", async () => {
    const { watcherId } = await agent.files.createWatcher({ path: directory });
    // The agent may be asked before it has seen all of a burst: then the next one is too much.
    const poll = async () => {
      for (let burst = 0; burst < 20; burst++) {
        for (let i = 0; i <= 10_000; i++) appendFileSync(at(`${i % 2}`), "x");
        await agent.files.getWatcherEvents({ watcherId });
      }
    };
    await assert.rejects(poll(), withCode(Code.ResourceExhausted));
    await agent.files.removeWatcher({ watcherId });
  });
});
