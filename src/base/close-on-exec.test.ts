import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import path from "node:path";
import { describe, it } from "node:test";

const file = path.join(import.meta.dirname, "close-on-exec.ts");
/** Starts a program and tells what that finds open. */
const script = `
  const { closeOnExec } = await import(${JSON.stringify(file)});
  const { execFileSync } = await import("node:child_process");
  const open = () => execFileSync("ls", ["/proc/self/fd"]).toString().trim().split("\\n").map(Number);
  const before = open();
  closeOnExec();
  console.log(JSON.stringify([before, open()]));
`;

describe("closeOnExec", () => {
  it("keeps what this process was given by its parent from the programs that it starts", () => {
    // A shell hands it on. The runtime marks low ones by itself, as far as the first gap.
    const args = ["-c", 'exec "$0" --input-type=module -e "$1" 200</dev/null', process.execPath, script];
    const { stdout, stderr } = spawnSync("bash", args, { encoding: "utf8" });
    assert.equal(stderr, "");
    const [before, after] = JSON.parse(stdout) as [number[], number[]];
    assert.ok(before.includes(200), "without it, the descriptor goes on");
    assert.equal(after.includes(200), false);
    // The fourth is the directory that is listed.
    assert.deepEqual(after, [0, 1, 2, 3]);
  });

  it("leaves the program itself and what it gives on purpose alone", () => {
    assert.equal(execFileSync("echo", ["still here"]).toString(), "still here\n");
  });
});
