import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { commandLine } from "./command-line.ts";
import { TestDaemon } from "./testing/test-daemon.ts";
import { TestTerminal } from "./testing/test-terminal.ts";

describe("larder purge", () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), "larder-purge-"));
    for (const name of ["data/shelf", "cache"]) await mkdir(path.join(home, name), { recursive: true });
    await writeFile(path.join(home, "data/larder.db"), "");
  });
  afterEach(() => rm(home, { recursive: true }));

  async function purge(...args: string[]) {
    const env = { HOME: home, LARDER_DATA: path.join(home, "data"), LARDER_CACHE: path.join(home, "cache") };
    const terminal = new TestTerminal(env);
    return { code: await commandLine(["purge", ...args], terminal), terminal };
  }

  it("removes what is kept, and downloads only when told to", async () => {
    assert.equal((await purge("--yes")).code, 0);
    assert.deepEqual([existsSync(`${home}/data`), existsSync(`${home}/cache`)], [false, true]);
    await mkdir(path.join(home, "data"));
    await writeFile(path.join(home, "data/larder.db"), "");
    assert.equal((await purge("--yes", "--downloads")).code, 0);
    assert.deepEqual([existsSync(`${home}/data`), existsSync(`${home}/cache`)], [false, false]);
  });

  it("removes nothing unless told so, and nothing that is not Larder's", async () => {
    const asked = await purge();
    assert.equal(asked.code, 1);
    assert.match(asked.terminal.complained, /this would remove .*data.*: say --yes/);
    await rm(path.join(home, "data/larder.db"));
    const strange = await purge("--yes");
    assert.match(strange.terminal.complained, /holds nothing of Larder's/);
    assert.ok(existsSync(`${home}/data/shelf`));
  });

  it("leaves a running daemon its data", async () => {
    await using daemon = await TestDaemon.start();
    const { code, terminal } = await daemon.larder(["purge", "--yes"]);
    assert.equal(code, 1);
    assert.match(terminal.complained, /a daemon runs on/);
  });
});
