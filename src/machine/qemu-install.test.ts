import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { findQemu, isNewEnough, parseVersion } from "./qemu-install.ts";

describe("findQemu", () => {
  let root: string;
  let cache: string;
  let system: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), "qemu-"));
    cache = path.join(root, "cache");
    system = path.join(root, "system");
    await mkdir(cache);
  });

  afterEach(() => rm(root, { recursive: true }));

  /** A program that says it is a QEMU, below `usr`; with `needs`, only when that is in its library path. */
  async function install(usr: string, version: string, needs = ""): Promise<string> {
    const binary = path.join(usr, "bin/qemu-system-x86_64");
    await mkdir(path.dirname(binary), { recursive: true });
    await mkdir(path.join(usr, "share/qemu"), { recursive: true });
    const check = needs === "" ? "" : `case ":$LD_LIBRARY_PATH:" in *":${needs}:"*) ;; *) exit 127;; esac\n`;
    await writeFile(
      binary,
      `#!/bin/sh\n${check}echo "QEMU emulator version ${version} (Debian 1:${version}+ds)"\n`,
    );
    await chmod(binary, 0o755);
    return binary;
  }

  const unpacked = (name: string) => path.join(cache, name, "root");

  it("takes the system's when that is new enough, wherever it is installed", async () => {
    const binary = await install(system, "9.2.1");
    await install(path.join(unpacked("qemu-10.0.2"), "usr"), "10.0.2");
    const found = await findQemu(cache, `relative:/nowhere:${path.join(system, "bin")}`);
    assert.equal(found.binary, binary);
    assert.equal(found.version, "9.2.1");
    assert.equal(found.dataDirectories[0], path.join(system, "share/qemu"));
    assert.deepEqual(found.libraryDirectories, []);
  });

  it("takes the newest that was unpacked when the system's is too old, with the libraries beside it", async () => {
    await install(system, "7.2.22");
    await install(path.join(unpacked("qemu-9.2.0"), "usr"), "9.2.0");
    const newest = unpacked("qemu-10.0.2+ds-2");
    const libraries = path.join(newest, "lib/x86_64-linux-gnu");
    await mkdir(libraries, { recursive: true });
    await install(path.join(newest, "usr"), "10.0.2", libraries);
    await mkdir(unpacked("kernel-11"), { recursive: true });
    const found = await findQemu(cache, path.join(system, "bin"));
    assert.equal(found.version, "10.0.2");
    assert.deepEqual(found.libraryDirectories, [libraries]);
    assert.deepEqual(found.dataDirectories, [path.join(newest, "usr/share/qemu")]);
  });

  it("names a library directory once that a merged system knows by two names", async () => {
    const newest = unpacked("qemu-10.0.2");
    const libraries = path.join(newest, "usr/lib/x86_64-linux-gnu");
    await mkdir(libraries, { recursive: true });
    await symlink("usr/lib", path.join(newest, "lib"));
    await install(path.join(newest, "usr"), "10.0.2");
    assert.deepEqual((await findQemu(cache, "")).libraryDirectories, [libraries]);
  });

  it("passes over what does not start, and fails with what to do when nothing is left", async () => {
    await install(path.join(unpacked("qemu-10.0.2"), "usr"), "10.0.2", "a library that is nowhere");
    await mkdir(unpacked("qemu-11.0.0"), { recursive: true });
    await assert.rejects(findQemu(cache, ""), { code: "not_found", message: /larder template build base/ });
    await assert.rejects(findQemu(path.join(root, "no-cache"), ""), { code: "not_found" });
  });
});

describe("a version of QEMU", () => {
  it("is read from what QEMU prints", () => {
    assert.equal(parseVersion("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright"), "10.0.2");
    assert.equal(parseVersion("QEMU emulator version 9.2"), "9.2");
    assert.equal(parseVersion("command not found"), undefined);
  });

  it("is new enough from 8.2 on", () => {
    const versions = ["7.2.22", "8.1.5", "8.2.0", "8.10.0", "10.0.2"];
    assert.deepEqual(versions.map(isNewEnough), [false, false, true, true, true]);
  });
});
