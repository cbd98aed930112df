import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { realDisk } from "./disk.ts";
import { Journal } from "./journal.ts";
import { lineOf } from "./journal-record.ts";
import { Ledger } from "./ledger.ts";
import { openShelf } from "./shelf.ts";
import { FaultyDisk } from "./testing/faulty-disk.ts";
import { journalSamples } from "./testing/journal-samples.ts";

const build = "0b5e6f1c-0000-4000-8000-000000000001";

/** A directory for a journal, on a disk that fails as planned. */
async function withDirectory(test: (directory: string, disk: FaultyDisk) => Promise<void>): Promise<void> {
  const census = takeCensus();
  const directory = await mkdtemp(path.join(tmpdir(), "larder-journal-"));
  try {
    await test(directory, new FaultyDisk(realDisk));
  } finally {
    await rm(directory, { recursive: true });
  }
  await assertNothingLeft(census);
}

async function reread(directory: string): Promise<Ledger> {
  return new Ledger(await Journal.read(realDisk, directory));
}

/** Says the same thing again and again, until the journal has been written anew or is large. */
async function fill(journal: Journal, size: () => Promise<number>): Promise<void> {
  for (let round = 0; round < 10; round++) {
    const before = await size();
    const records = Array.from({ length: 300 }, (_, at) => ({ type: "used", build, at }) as const);
    await Promise.all(records.map((record) => journal.append(record)));
    if ((await size()) < before) return;
  }
}

describe("a journal", () => {
  for (const { version, text, means } of journalSamples) {
    it(`C21: of version ${version} is read, and says what it said then`, () =>
      withDirectory(async (directory) => {
        await writeFile(path.join(directory, "journal"), text);
        assert.deepEqual((await reread(directory)).records(), means);
      }));
  }

  it("C21: of a newer version is refused with a sentence that says what to do", () =>
    withDirectory(async (directory) => {
      await writeFile(path.join(directory, "journal"), lineOf({ type: "format", version: 3 }));
      await assert.rejects(reread(directory), (error) => {
        assert.ok(Failure.is(error, "invalid"));
        assert.match(error.message, /version 3; this program reads up to 2\. Run a newer Larder, or remove/);
        return true;
      });
    }));

  it("C21: is written anew while it is in use when it has doubled, and says the same, a crash included", () =>
    withDirectory(async (directory, disk) => {
      const file = path.join(directory, "journal");
      const steps: string[] = [];
      disk.plan = ({ operation, file }) => void steps.push(`${operation} ${path.basename(file)}`);
      const journal = await Journal.start(disk, directory, new Ledger());
      await journal.append({ type: "build", build, manifestDigest: "0".repeat(64) });
      await journal.append({ type: "chunks", build, artifact: "rootfs", ranges: [[3, 4]] });
      steps.length = 0;
      await fill(journal, async () => (await stat(file)).size);
      assert.ok((await stat(file)).size < 64 * 1024, "it is short again");
      const anew = steps.slice(steps.indexOf("open journal.new"));
      const order = ["open journal.new", "write journal.new", "sync journal.new", "rename journal"];
      assert.deepEqual(anew.slice(0, 4), order);
      assert.ok(anew.includes(`syncDirectory ${path.basename(directory)}`));
      await journal.append({ type: "sealed", build });
      const ledger = await reread(directory);
      assert.deepEqual(ledger.records(), journal.ledger.records());
      assert.equal(ledger.clean, false, "a crash is still seen as one");
      assert.deepEqual(await readdir(directory), ["journal"]);
      await journal.close();
    }));

  it("C17: of a run that was killed before it told of a first use gives that to the next run, and to no other", () =>
    withDirectory(async (directory) => {
      const journal = await Journal.start(realDisk, directory, new Ledger());
      await journal.append({ type: "build", build, manifestDigest: "0".repeat(64) });
      await journal.close();
      for (const now of [1_000, 2_000]) {
        const shelf = await openShelf(realDisk, directory, now);
        assert.equal(shelf.journal.ledger.builds.get(build)?.usedAt, 1_000);
        await shelf.journal.close();
        shelf.lock[Symbol.dispose]();
      }
    }));

  it("C21: that cannot be written anew goes on as it is", () =>
    withDirectory(async (directory, disk) => {
      const file = path.join(directory, "journal");
      const journal = await Journal.start(disk, directory, new Ledger());
      await journal.append({ type: "build", build, manifestDigest: "0".repeat(64) });
      disk.plan = ({ operation }) => (operation === "rename" ? "EIO" : undefined);
      await fill(journal, async () => (await stat(file)).size);
      assert.ok((await stat(file)).size > 64 * 1024);
      disk.plan = () => undefined;
      await journal.append({ type: "used", build, at: 77 });
      assert.equal((await reread(directory)).builds.get(build)?.usedAt, 77);
      await journal.close();
    }));

  it("C21: takes nothing for said that the disk refused, although the next record is shorter", () =>
    withDirectory(async (directory, disk) => {
      const journal = await Journal.start(disk, directory, new Ledger());
      await journal.append({ type: "build", build, manifestDigest: "0".repeat(64) });
      disk.plan = ({ operation }) => (operation === "sync" ? "EIO" : undefined);
      const refused = [
        journal.append({ type: "used", build, at: 0 }),
        // These two go together, and are longer than what follows.
        journal.append({ type: "used", build, at: 1 }),
        journal.append({ type: "used", build, at: 2 }),
      ];
      for (const { status } of await Promise.allSettled(refused)) assert.equal(status, "rejected");
      disk.plan = () => undefined;
      await journal.append({ type: "used", build, at: 3 });
      const text = await readFile(path.join(directory, "journal"), "utf8");
      assert.equal(text.split('"used"').length - 1, 1);
      assert.equal(journal.ledger.builds.get(build)?.usedAt, 3);
      await journal.close();
    }));
});
