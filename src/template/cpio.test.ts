import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CpioEntry, cpioArchive } from "./cpio.ts";

interface Read {
  readonly path: string;
  readonly mode: number;
  readonly data: string;
  readonly device: readonly [number, number];
}

/** Reads an archive by the format's description, independently of how it is written. */
function readArchive(archive: Buffer): Read[] {
  const entries: Read[] = [];
  let at = 0;
  const aligned = (offset: number) => Math.ceil(offset / 4) * 4;
  for (;;) {
    assert.equal(archive.toString("latin1", at, at + 6), "070701", `magic at ${at}`);
    const field = (index: number) => {
      const from = at + 6 + index * 8;
      return Number.parseInt(archive.toString("latin1", from, from + 8), 16);
    };
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const nameAt = at + 110;
    const path = archive.toString("utf8", nameAt, nameAt + nameSize - 1);
    const dataAt = aligned(nameAt + nameSize);
    if (path === "TRAILER!!!") return entries;
    const data = archive.toString("latin1", dataAt, dataAt + size);
    entries.push({ path, mode, data, device: [field(9), field(10)] });
    at = aligned(dataAt + size);
  }
}

describe("cpioArchive", () => {
  it("holds what it was given, whatever the lengths of names and contents", () => {
    const names = ["a", "ab", "abc", "abcd", "abcde"];
    const files = names.flatMap((name, i) =>
      names.map((_, bytes): CpioEntry => {
        return { kind: "file", path: `d/${name}${i}${bytes}`, mode: 0o644, data: Buffer.alloc(bytes, "x") };
      }),
    );
    const entries: CpioEntry[] = [
      { kind: "directory", path: "d", mode: 0o755 },
      { kind: "device", path: "d/console", mode: 0o600, major: 5, minor: 1 },
      ...files,
    ];
    const read = readArchive(cpioArchive(entries));
    assert.equal(read.length, entries.length);
    assert.deepEqual(read[0], { path: "d", mode: 0o040755, data: "", device: [0, 0] });
    assert.deepEqual(read[1], { path: "d/console", mode: 0o020600, data: "", device: [5, 1] });
    for (const [index, file] of files.entries()) {
      const { path, mode, data } = read[index + 2] ?? { path: "", mode: 0, data: "" };
      assert.ok(file.kind === "file");
      assert.deepEqual([path, mode, data], [file.path, 0o100644, Buffer.from(file.data).toString()]);
    }
  });

  it("is the same bytes for the same entries", () => {
    const entries: CpioEntry[] = [{ kind: "file", path: "init", mode: 0o755, data: Buffer.from("#!") }];
    assert.deepEqual(cpioArchive(entries), cpioArchive(entries));
  });
});
