import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { Sandbox } from "e2b";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { findByArgument } from "../../src/base/processes.ts";
import { ControlGroups } from "../../src/machine/control-groups.ts";
import type { GroupLimits } from "../../src/machine/group-limits.ts";
import { markerOf } from "../../src/machine/machine-spec.ts";
import { groupsOf, removeFormerGroups } from "../../src/machine/stray-groups.ts";
import { daemonName } from "../../src/daemon/run-directory.ts";
import { type Served, serve } from "./testing/served.ts";

const mebibyte = 2 ** 20;
const small: GroupLimits = {
  memoryBytes: 64 * mebibyte,
  swapBytes: 0,
  processors: 1,
  processesMax: 6,
};

/** Runs a script in a group of its own; how it ended. */
async function runIn(groups: ControlGroups, script: string) {
  await using group = await groups.make(`i${process.pid}`, small);
  const join = `for f in "$@"; do echo $$ > "$f"; done; ${script}`;
  const child = spawn("sh", ["-c", join, "sh", ...group.processFiles], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    child.stdout.toArray(),
    child.stderr.toArray(),
    once(child, "exit") as Promise<[number | null, string | null]>,
  ]);
  return { code, signal, stdout: stdout.join(""), stderr: stderr.join("") };
}

describe("groups that a former daemon has left", () => {
  it("are removed as soon as their processes have gone, but for those of machines that live on", async () => {
    const daemon = `former${process.pid}`;
    const groups = await ControlGroups.find({ daemon, clock: systemClock });
    const left = await groups.make("left", small);
    await using lives = await groups.make("lives", small);
    const script = 'for f in "$@"; do echo $$ > "$f"; done; echo; exec sleep 1000';
    const child = spawn("sh", ["-c", script, "sh", ...left.processFiles], { stdio: "pipe" });
    await once(child.stdout, "data");
    const tools = { spared: new Set(["lives"]), clock: systemClock, logger: silentLogger };
    const removing = removeFormerGroups(daemon, tools);
    child.kill("SIGKILL");
    await removing;
    const ids = (await groupsOf(daemon)).map(({ id }) => id);
    assert.deepEqual([...new Set(ids)], lives.processFiles.length > 0 ? ["lives"] : []);
  });
});

describe("the bounds of a machine", () => {
  let served: Served;
  let groups: ControlGroups;
  before(async () => {
    served = await serve();
    groups = await ControlGroups.find({ daemon: `test${process.pid}`, clock: systemClock });
  });
  after(() => served[Symbol.asyncDispose]());

  it("are told by the doctor, and at the daemon's start, whatever they are", async () => {
    const { stdout } = await served.larder("doctor", "--json");
    const bounds = (JSON.parse(stdout) as { name: string; found: string }[]).find(
      ({ name }) => name === "bounds",
    );
    for (const each of groups.bounded) assert.ok(bounds?.found.includes(each), `${bounds?.found}`);
    assert.equal(groups.unbounded.length > 0, /not bounded/.test(served.printed()));
  });

  it("hold a process that wants more memory, and no other", async () => {
    if (!groups.bounded.includes("memory")) return assert.match(groups.describe(), /bounded/);
    const greedy = `exec ${process.execPath} -e 'Buffer.alloc(512 * 2 ** 20, 1)'`;
    const { signal } = await runIn(groups, greedy);
    assert.equal(signal, "SIGKILL");
  });

  it("hold a process that starts others without end", async () => {
    if (!groups.bounded.includes("pids")) return assert.match(groups.describe(), /bounded/);
    const { code, stderr } = await runIn(groups, "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done");
    assert.notEqual(code, 0);
    assert.match(stderr, /fork/i);
  });

  it("are around the VMM of every sandbox and its uplink, and go with it", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk });
    const mine = (await groupsOf(daemonName(served.data))).filter(({ id }) => id === sandbox.sandboxId);
    assert.equal(mine.length > 0, groups.bounded.length > 0);
    const machines = (await findByArgument(markerOf(sandbox.sandboxId))).map(({ pid }) => pid);
    assert.ok(machines.length > 0);
    for (const { directory } of mine) {
      const inside = (await readFile(path.join(directory, "cgroup.procs"), "utf8")).trim().split("\n");
      for (const pid of machines) assert.ok(inside.includes(String(pid)), `${pid} is not in ${directory}`);
    }
    await sandbox.kill();
    const left = (await groupsOf(daemonName(served.data))).filter(({ id }) => id === sandbox.sandboxId);
    assert.deepEqual(left, []);
  });
});
