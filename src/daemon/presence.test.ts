import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { announce, findDaemon } from "./presence.ts";

describe("the presence of a daemon", () => {
  let data: string;
  before(async () => {
    data = await mkdtemp(path.join(tmpdir(), "larder-presence-"));
  });
  after(() => rm(data, { recursive: true }));

  it("is found while it lasts", async () => {
    assert.equal(await findDaemon(data), undefined);
    const presence = await announce(data, "http://127.0.0.1:8700", "1.0.0");
    const found = await findDaemon(data);
    assert.deepEqual([found?.pid, found?.url], [process.pid, "http://127.0.0.1:8700"]);
    await presence[Symbol.asyncDispose]();
    assert.equal(await findDaemon(data), undefined);
  });

  it("of another life of the same process id is none", async () => {
    await using _presence = await announce(data, "http://127.0.0.1:8700", "1.0.0");
    const file = path.join(data, "daemon.json");
    const said = JSON.parse(await readFile(file, "utf8"));
    await writeFile(file, JSON.stringify({ ...said, startTime: "1" }));
    assert.equal(await findDaemon(data), undefined);
  });

  it("that cannot be read is none", async () => {
    for (const text of ["", "{", "[]", '{"pid":"x"}']) {
      await writeFile(path.join(data, "daemon.json"), text);
      assert.equal(await findDaemon(data), undefined, text);
    }
  });
});
