import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { findLeaks, isEmpty } from "./leaks.ts";

describe("findLeaks", () => {
  let root: string;
  before(() => {
    root = mkdtempSync(path.join(tmpdir(), "larder-leaks-"));
    for (const name of [
      "run/ialive",
      "run/igone",
      "data/sandboxes/ialive",
      "data/sandboxes/igone",
      "proc/self",
    ]) {
      mkdirSync(path.join(root, name), { recursive: true });
    }
    writeProcess("10", ["/usr/bin/qemu-system-x86_64", `-qmp,path=${root}/run/ialive/qmp.sock`]);
    writeProcess("11", [
      "/usr/bin/qemu-system-x86_64",
      "-drive",
      `file=${root}/data/sandboxes/igone/overlay.qcow2,x=1`,
    ]);
    writeProcess("12", ["larder", `${root}/run/igone`]);
    writeProcess("13", ["vim", "/home/me/notes"]);
    const mounts = [
      `1 2 0:1 / ${root}/run/igone\\040x rw - tmpfs`,
      `1 2 0:1 / ${root}/run/ialive rw - tmpfs`,
      "1 2 0:1 / / rw",
    ];
    writeFileSync(path.join(root, "proc/self/mountinfo"), `${mounts.join("\n")}\n`);
  });
  after(() => rmSync(root, { recursive: true }));

  function writeProcess(pid: string, words: string[]) {
    mkdirSync(path.join(root, "proc", pid));
    writeFileSync(path.join(root, "proc", pid, "cmdline"), `${words.join("\0")}\0`);
  }

  const premises = (owners: string[]) => ({
    runDirectory: path.join(root, "run"),
    data: path.join(root, "data"),
    proc: path.join(root, "proc"),
    daemonPid: 12,
    owners: new Set(owners),
  });

  it("what no sandbox owns is found, what one owns is not", () => {
    const leaks = findLeaks(premises(["ialive"]));
    assert.deepEqual(leaks, {
      processes: ["11 qemu-system-x86_64"],
      sockets: [path.join(root, "run/igone")],
      files: [path.join(root, "data/sandboxes/igone")],
      mounts: [path.join(root, "run/igone x")],
    });
    assert.equal(isEmpty(leaks), false);
  });

  it("nothing is found where everything has an owner, or nothing is there", () => {
    assert.ok(isEmpty(findLeaks(premises(["ialive", "igone"]))));
    assert.ok(
      isEmpty(
        findLeaks({
          ...premises([]),
          runDirectory: "/nonexistent",
          data: "/nonexistent",
          proc: "/nonexistent",
        }),
      ),
    );
  });
});
