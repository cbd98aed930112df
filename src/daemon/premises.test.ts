import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { enterPremises } from "./premises.ts";

describe("enterPremises", () => {
  let root: string;
  let env: NodeJS.ProcessEnv;
  before(async () => {
    root = await mkdtemp(path.join(tmpdir(), "larder-"));
    env = { XDG_RUNTIME_DIR: root };
  });
  after(() => rm(root, { recursive: true }));

  it("one daemon at a time has a data directory, for its owner's eyes only", async () => {
    const data = path.join(root, "a/data");
    const first = await enterPremises(data, env);
    assert.equal((await stat(data)).mode & 0o777, 0o700);
    await assert.rejects(enterPremises(data, env), {
      code: "conflict",
      message: /held by the daemon with process id \d+; 'larder stop' ends it/,
    });
    first[Symbol.dispose]();
    await assert.rejects(stat(first.runDirectory), { code: "ENOENT" });
    using _second = await enterPremises(data, env);
  });

  it("two data directories have two daemons side by side", async () => {
    using one = await enterPremises(path.join(root, "one"), env);
    using two = await enterPremises(path.join(root, "two"), env);
    assert.notEqual(one.runDirectory, two.runDirectory);
  });
});
