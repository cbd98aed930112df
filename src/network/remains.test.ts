import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { endFormerNetworks } from "./remains.ts";
import { uplinkPidFile } from "./uplink.ts";

/** A process that idles, with an argument to be found by. */
async function idle(argument: string): Promise<ChildProcess> {
  const child = spawn("sh", ["-c", "echo up; read -r _", argument], { stdio: ["pipe", "pipe", "ignore"] });
  await once(child.stdout, "data");
  return child;
}

describe("endFormerNetworks", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "nets-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it("ends the processes of each network that was left, by their arguments, and nobody else's", async () => {
    const left = path.join(directory, "net-abc123");
    await mkdir(left);
    await mkdir(path.join(directory, "i0123456789"));
    const [holder, uplink, other] = await Promise.all([
      idle(left),
      idle(uplinkPidFile(left)),
      idle(`${left}-other`),
    ]);
    const ended = Promise.all([once(holder, "exit"), once(uplink, "exit")]);
    assert.equal(await endFormerNetworks(directory, { clock: systemClock, logger: silentLogger }), 1);
    await ended;
    assert.equal(other.exitCode, null);
    other.kill("SIGKILL");
    await once(other, "exit");
    assert.deepEqual(await readdir(directory), ["i0123456789"]);
  });

  it("spares those whose sandboxes run on", async () => {
    for (const name of ["net-runs", "net-gone"]) await mkdir(path.join(directory, name));
    const spared = new Set(["net-runs"]);
    assert.equal(await endFormerNetworks(directory, { spared, clock: systemClock, logger: silentLogger }), 1);
    assert.deepEqual(await readdir(directory), ["net-runs"]);
  });

  it("finds nothing where no daemon has been", async () => {
    const none = path.join(directory, "missing");
    assert.equal(await endFormerNetworks(none, { clock: systemClock, logger: silentLogger }), 0);
  });
});
