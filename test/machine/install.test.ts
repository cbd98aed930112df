import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";

const home = path.join(import.meta.dirname, "../..");

interface Packages {
  readonly requiredPackages: (
    release: object,
    options: { tests: boolean; root?: boolean },
  ) => readonly { name: string }[];
  readonly aptCommand: (names: string[]) => string[];
}

interface Modules {
  readonly lockDifference: (wanted: object, installed: object) => string | undefined;
}

async function load<Module>(name: string): Promise<Module> {
  return (await import(path.join(home, "bin/lib", name))) as Module;
}

describe("bin/install.mjs", () => {
  it("has nothing to say, and takes little time, where everything is installed", async () => {
    const began = Date.now();
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [
      path.join(home, "bin/install.mjs"),
      "--for-tests",
    ]);
    assert.equal(stdout + stderr, "");
    assert.ok(Date.now() - began < 5_000);
  });

  it("refuses a flag that it does not know, by name", async () => {
    const running = promisify(execFile)(process.execPath, [path.join(home, "bin/install.mjs"), "--fast"]);
    await assert.rejects(running, (error: { code?: number; stderr?: string }) => {
      assert.equal(error.code, 1);
      assert.match(error.stderr ?? "", /--fast/);
      return true;
    });
  });

  it("takes modules for stale when one is missing, of another version, or too many", async () => {
    const { lockDifference } = await load<Modules>("modules.mjs");
    const lock = {
      "": { version: "1.0.0" },
      "node_modules/a": { version: "1.0.0", integrity: "x" },
      "node_modules/b": { version: "2.0.0", integrity: "y", optional: true },
    };
    const a = { "node_modules/a": { version: "1.0.0", integrity: "x" } };
    assert.equal(lockDifference(lock, a), undefined);
    assert.match(lockDifference(lock, {}) ?? "", /node_modules\/a is not installed/);
    const other = { "node_modules/a": { version: "1.0.1", integrity: "x" } };
    assert.match(lockDifference(lock, other) ?? "", /node_modules\/a is not 1\.0\.0/);
    const changed = { "node_modules/a": { version: "1.0.0", integrity: "z" } };
    assert.ok(lockDifference(lock, changed) !== undefined);
    assert.match(
      lockDifference(lock, { ...a, "node_modules/c": {} }) ?? "",
      /node_modules\/c .*not asked for/,
    );
  });

  it("asks for the system's QEMU where there is none from Debian, and for uidmap where it is not root", async () => {
    const { requiredPackages } = await load<Packages>("packages.mjs");
    const names = (release: object, root: boolean, tests = false) =>
      requiredPackages(release, { tests, root }).map(({ name }) => name);
    assert.ok(!names({ ID: "debian" }, true).includes("qemu-system-x86"));
    assert.ok(names({ ID: "ubuntu" }, true).includes("qemu-system-x86"));
    assert.ok(!names({ ID: "debian" }, true).includes("uidmap"));
    assert.ok(names({ ID: "debian" }, false).includes("uidmap"));
    assert.ok(names({ ID: "debian" }, true, true).includes("nbdkit"));
  });

  it("installs exactly what it says that it lacks", async () => {
    const { aptCommand } = await load<Packages>("packages.mjs");
    const command = aptCommand(["tini", "patchelf"]).join(" ");
    assert.equal(command, "apt-get install -y --no-install-recommends tini patchelf");
  });

  it("needs no package: it is what brings them", async () => {
    for (const file of ["bin/install.mjs", "bin/lib/modules.mjs", "bin/lib/packages.mjs"]) {
      const text = await readFile(path.join(home, file), "utf8");
      for (const [, imported = ""] of text.matchAll(/from "([^"]+)"/g))
        assert.match(imported, /^(node:|\.\/)/, `${file} imports ${imported}`);
    }
  });
});
