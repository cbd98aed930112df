import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { BoundedLog } from "./bounded-log.ts";

describe("BoundedLog", () => {
  let directory: string;
  let file: string;
  let clock: VirtualClock;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "log-"));
    file = path.join(directory, "vmm.log");
    clock = new VirtualClock();
  });

  afterEach(() => rm(directory, { recursive: true }));

  it("tells the end of what was appended, and leaves nothing open", async () => {
    const census = takeCensus();
    {
      using log = BoundedLog.create(file, { bytesMax: 100, clock });
      assert.equal(log.tail(10), "");
      await appendFile(file, "first words, last words");
      assert.equal(log.tail(10), "last words");
      assert.equal(log.tail(1000), "first words, last words");
    }
    await assertNothingLeft(census);
    assert.equal(clock.pending, 0);
  });

  it("goes on with a file that is there, but not with what is none", async () => {
    await writeFile(file, "earlier words");
    using log = BoundedLog.reopen(file, { bytesMax: 100, clock });
    await appendFile(file, ", later words");
    assert.equal(log.tail(1000), "earlier words, later words");
    await symlink(file, path.join(directory, "link"));
    for (const name of ["missing", "link", "."]) {
      assert.throws(() => BoundedLog.reopen(path.join(directory, name), { bytesMax: 100, clock }), name);
    }
  });

  it("is emptied when it has grown too large, and still tells its end", async () => {
    using log = BoundedLog.create(file, { bytesMax: 100, clock });
    await appendFile(file, "x".repeat(20_000));
    await appendFile(file, "the end");
    await clock.advance(5000);
    assert.equal((await stat(file)).size, 0);
    assert.equal(log.tail(7), "the end");
    await appendFile(file, " of it");
    assert.equal(await readFile(file, "utf8"), " of it");
    assert.equal(log.tail(13), "the end of it");
    await clock.advance(5000);
    assert.equal((await stat(file)).size, 6, "a small one is left alone");
  });

  it("takes the place of what was there, and follows no link that is put in its place", async () => {
    const precious = path.join(directory, "precious");
    await writeFile(precious, "p".repeat(1000));
    await symlink(precious, file);
    using log = BoundedLog.create(file, { bytesMax: 10, clock });
    assert.equal(log.tail(10), "");
    await rm(file);
    await symlink(precious, file);
    await clock.advance(5000);
    assert.equal(log.tail(10), "");
    assert.equal((await stat(precious)).size, 1000);
  });
});
