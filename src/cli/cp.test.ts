import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { AgentFixture } from "../agent/testing/agent-fixture.ts";
import { remoteOf } from "./cp.ts";
import { TestDaemon } from "./testing/test-daemon.ts";

describe("larder cp", () => {
  let daemon: TestDaemon;
  let guest: AgentFixture;
  let here: string;
  let there: string;
  let id: string;
  before(async () => {
    daemon = await TestDaemon.start();
    guest = await AgentFixture.start();
    daemon.api.sandboxes.guest = guest.channel;
    [here = "", there = ""] = await Promise.all([1, 2].map(() => mkdtemp(path.join(tmpdir(), "larder-cp-"))));
    id = (await daemon.api.call("POST", "/sandboxes", { templateID: "base" })).body.sandboxID;
  });
  after(async () => {
    for (const directory of [here, there]) await rm(directory, { recursive: true });
    await guest[Symbol.asyncDispose]();
    await daemon[Symbol.asyncDispose]();
  });

  async function copied(...words: string[]): Promise<void> {
    const { code, terminal } = await daemon.larder(["cp", ...words]);
    assert.equal(code, 0, terminal.complained);
  }

  it("copies a file in and out again, under the name asked for or into a directory", async () => {
    const bytes = Buffer.alloc(300_000, "kept ");
    await writeFile(path.join(here, "a.bin"), bytes);
    await copied(path.join(here, "a.bin"), `${id}:${there}/in/`);
    assert.ok((await readFile(path.join(there, "in/a.bin"))).equals(bytes));
    await copied(`${id}:${there}/in/a.bin`, path.join(here, "b.bin"));
    assert.ok((await readFile(path.join(here, "b.bin"))).equals(bytes));
    await mkdir(path.join(here, "folder"));
    await copied(`${id}:${there}/in/a.bin`, path.join(here, "folder"));
    assert.deepEqual(await readdir(path.join(here, "folder")), ["a.bin"]);
  });

  it("copies a directory with all that is in it, both ways", async () => {
    await mkdir(path.join(here, "tree/it's deep"), { recursive: true });
    await writeFile(path.join(here, "tree/it's deep/leaf"), "green");
    await copied(path.join(here, "tree"), `${id}:${there}/tree`);
    assert.equal(await readFile(path.join(there, "tree/it's deep/leaf"), "utf8"), "green");
    await copied(`${id}:${there}/tree`, path.join(here, "back"));
    assert.equal(await readFile(path.join(here, "back/it's deep/leaf"), "utf8"), "green");
  });

  it("says what is not there, and leaves what was there before", async () => {
    await writeFile(path.join(here, "old"), "old");
    const { code, terminal } = await daemon.larder(["cp", `${id}:/nonexistent`, path.join(here, "old")]);
    assert.deepEqual([code, await readFile(path.join(here, "old"), "utf8")], [1, "old"]);
    assert.match(terminal.complained, /nonexistent/);
    const none = await daemon.larder(["cp", path.join(here, "none"), `${id}:/tmp/x`]);
    assert.match(none.terminal.complained, /there is no .*none here/);
    assert.equal((await daemon.larder(["cp", "a", "b"])).code, 2);
  });
});

describe("remoteOf", () => {
  it("a word with an id before its first colon is in a sandbox, a path is here", () => {
    assert.deepEqual(remoteOf("i12:/a:b"), { id: "i12", path: "/a:b" });
    for (const word of ["/a:b", "./a:b", "a", ":a"]) assert.equal(remoteOf(word), undefined, word);
  });
});
