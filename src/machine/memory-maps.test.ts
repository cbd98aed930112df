import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { mappingsOf } from "./memory-maps.ts";

const maps = `55d0c0000000-55d0c0001000 r--p 00000000 fe:00 17 /vmm/qemu
7f0010000000-7f0020000000 rw-p 10000000 fe:00 4711 /template/memfile
7f0000000000-7f0010000000 rw-p 00000000 fe:00 4711 /template/memfile
7f0030000000-7f0030001000 rw-p 00000000 fe:01 4711 /another disk/memfile
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 [stack]
`;

describe("mappingsOf", () => {
  it("finds a file by device and inode, however it is called, in the order of the file", () => {
    assert.deepEqual(mappingsOf(maps, { dev: 0xfe00, ino: 4711 }), [
      { start: 0x7f0000000000, end: 0x7f0010000000, offset: 0 },
      { start: 0x7f0010000000, end: 0x7f0020000000, offset: 0x10000000 },
    ]);
    assert.deepEqual(mappingsOf(maps, { dev: 0xfe00, ino: 4712 }), []);
  });

  it("counts devices as the system does", async () => {
    const { dev, ino } = statSync(process.execPath);
    const own = mappingsOf(await readFile("/proc/self/maps", "utf8"), { dev, ino });
    assert.ok(own.length > 0, "this program is mapped");
  });
});
