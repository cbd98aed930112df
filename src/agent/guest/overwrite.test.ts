import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { overwrite } from "./overwrite.ts";

describe("overwrite", () => {
  it("leaves exactly what was written last, whatever its length", () => {
    const directory = mkdtempSync(join(tmpdir(), "larder-overwrite-"));
    const path = join(directory, "hostname");
    for (const text of ["sandbox\n", "a-longer-name\n", "é\n", ""]) {
      overwrite(path, text);
      assert.equal(readFileSync(path, "utf8"), text);
    }
    rmSync(directory, { recursive: true });
  });
});
