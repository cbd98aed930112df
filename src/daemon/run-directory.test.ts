import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { makeRunDirectory, runDirectoryOf } from "./run-directory.ts";

describe("runDirectoryOf", () => {
  it("a run directory is the user's own, or root's", () => {
    const env = { XDG_RUNTIME_DIR: "/run/user/1000" };
    assert.match(runDirectoryOf("/data", { env, uid: 1000 }), /^\/run\/user\/1000\/larder\/[0-9a-f]{8}$/);
    assert.match(runDirectoryOf("/data", { env, uid: 0 }), /^\/run\/larder\/[0-9a-f]{8}$/);
    assert.match(runDirectoryOf("/data", { env: {}, uid: 1000 }), /^\/tmp\/larder-1000\/[0-9a-f]{8}$/);
  });

  it("two data directories have two, one has always the same", () => {
    const of = (data: string) => runDirectoryOf(data, { env: {}, uid: 0 });
    assert.notEqual(of("/a"), of("/b"));
    assert.equal(of("/a"), of("/a"));
  });
});

describe("makeRunDirectory", () => {
  const uid = process.getuid?.() ?? 0;

  it("a run directory is made for one user", async () => {
    const parent = await mkdtemp(path.join(tmpdir(), "larder-"));
    const directory = path.join(parent, "run/abc");
    await makeRunDirectory(directory, uid);
    await makeRunDirectory(directory, uid);
    assert.equal((await stat(directory)).mode & 0o066, 0);
    await assert.rejects(makeRunDirectory(directory, uid + 1), { code: "denied" });
    await rm(parent, { recursive: true });
  });

  it("a path that leaves no room for a socket's name is refused", async () => {
    await assert.rejects(makeRunDirectory(`/${"x".repeat(80)}`, uid), {
      code: "invalid",
      message: /XDG_RUNTIME_DIR/,
    });
  });
});
