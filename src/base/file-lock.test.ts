import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { Failure } from "./failure.ts";
import { FileLock } from "./file-lock.ts";

describe("FileLock", () => {
  const directory = mkdtempSync(path.join(tmpdir(), "larder-lock-"));
  const file = path.join(directory, "lock");
  after(() => rmSync(directory, { recursive: true }));

  it("is held once, and names its holder to whoever comes second", () => {
    using _first = FileLock.take(file, "the daemon with process id 7");
    const second = (error: unknown) =>
      Failure.is(error, "conflict") && error.message.endsWith("is held by the daemon with process id 7");
    assert.throws(() => FileLock.take(file, "me"), second);
  });

  it("is free again after its disposal, which may happen twice", () => {
    const first = FileLock.take(file, "a rather long name of a holder");
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    using _second = FileLock.take(file, "short");
    assert.throws(() => FileLock.take(file, "me"), /held by short$/);
  });

  it("is free again when its holder was killed", () => {
    const script = `import { FileLock } from ${JSON.stringify(path.join(import.meta.dirname, "file-lock.ts"))};
      FileLock.take(${JSON.stringify(file)}, "child"); process.kill(process.pid, "SIGKILL");`;
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    assert.equal(child.signal, "SIGKILL");
    using _lock = FileLock.take(file, "me");
  });
});
