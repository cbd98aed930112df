import assert from "node:assert/strict";
import { mkdir, mkdtemp, open, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileDigest } from "./file-digest.ts";
import { readStamp, writeStamp } from "./stamp.ts";

const never = new AbortController().signal;

async function scratch() {
  const directory = await mkdtemp(path.join(tmpdir(), "larder-stamp-"));
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

async function stamped(directory: string) {
  await mkdir(path.join(directory, "usr"));
  await writeFile(path.join(directory, "usr/file"), "content");
  await symlink("usr", path.join(directory, "link"));
  await writeStamp(directory, { version: "1" }, never);
}

describe("a stamp", () => {
  it("gives back the facts of a directory that is whole", async () => {
    await using place = await scratch();
    await stamped(place.directory);
    assert.deepEqual(await readStamp(place.directory, never), { version: "1" });
  });

  it("does not hold for a directory that has none, or in which anything was changed, added or removed", async () => {
    await using none = await scratch();
    assert.equal(await readStamp(none.directory, never), undefined);
    assert.equal(await readStamp(path.join(none.directory, "nowhere"), never), undefined);
    const changes: ((directory: string) => Promise<void>)[] = [
      (directory) => writeFile(path.join(directory, "usr/file"), "Content"),
      (directory) => writeFile(path.join(directory, "usr/another"), ""),
      (directory) => rm(path.join(directory, "usr/file")),
      (directory) => truncate(path.join(directory, "stamp.json"), 20),
      async (directory) => {
        await rm(path.join(directory, "link"));
        await symlink("usr/file", path.join(directory, "link"));
      },
    ];
    for (const change of changes) {
      await using place = await scratch();
      await stamped(place.directory);
      await change(place.directory);
      assert.equal(await readStamp(place.directory, never), undefined, String(change));
    }
  });
});

describe("fileDigest", () => {
  it("is the SHA-256 of a file of ordinary size", async () => {
    await using place = await scratch();
    const file = path.join(place.directory, "file");
    await writeFile(file, "abc");
    assert.equal(
      await fileDigest(file, never),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });

  it("sees each byte of a sparse image, but not where its holes are", async () => {
    await using place = await scratch();
    const image = async (name: string, zerosWritten: number, text: string) => {
      const file = path.join(place.directory, name);
      await using handle = await open(file, "w");
      await handle.truncate(2 ** 30);
      await handle.write(Buffer.alloc(zerosWritten), 0, zerosWritten, 2 ** 29 - 4096);
      await handle.write(text, 2 ** 29 + 100);
      return fileDigest(file, never);
    };
    const sparse = await image("sparse", 0, "data");
    assert.match(sparse, /^sparse-[0-9a-f]{64}$/);
    assert.equal(await image("less-sparse", 300_000, "data"), sparse);
    assert.notEqual(await image("other", 0, "Data"), sparse);
    assert.notEqual(await image("moved", 0, " data"), sparse);
  });
});
