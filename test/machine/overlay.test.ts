import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { createOverlay } from "../../src/machine/overlay.ts";

describe("an overlay", () => {
  it("is made by many at once where none was before, and is a whole and empty image", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "overlays-"));
    try {
      const targets = Array.from({ length: 4 }, (_, i) => path.join(directory, `overlay-${i}`));
      await Promise.all(
        targets.map((target) => createOverlay(path.join(directory, "kept"), target, 10 * 2 ** 30)),
      );
      const { stdout } = await promisify(execFile)("qemu-img", [
        "info",
        "--output=json",
        targets[3] as string,
      ]);
      const info = JSON.parse(stdout) as Record<string, unknown>;
      assert.deepEqual(
        [info["format"], info["virtual-size"], info["cluster-size"], info["backing-filename"]],
        ["qcow2", 10 * 2 ** 30, 65536, undefined],
      );
      await promisify(execFile)("qemu-img", ["check", targets[0] as string]);
      assert.deepEqual(await readdir(path.join(directory, "kept")), ["empty-10737418240.qcow2"]);
      await assert.rejects(createOverlay(path.join(directory, "kept"), targets[0] as string, 2 ** 63), {
        code: "unavailable",
        message: /an empty overlay cannot be made: qemu-img: .*size/i,
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
