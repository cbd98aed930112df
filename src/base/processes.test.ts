import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { findByArgument, isAlive, killByIdentity, parseStartTime, startTimeOf } from "./processes.ts";

const started: ChildProcess[] = [];

/** A process that idles, with an argument to be found by. */
async function idle(argument: string): Promise<{ pid: number; startTime: string; ended: Promise<unknown> }> {
  const script = "process.stdout.write('up'); setInterval(() => {}, 60_000)";
  const child = spawn(process.execPath, ["-e", script, argument], { stdio: ["ignore", "pipe", "ignore"] });
  started.push(child);
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  const startTime = startTimeOf(child.pid as number);
  assert.ok(startTime !== undefined);
  return { pid: child.pid as number, startTime, ended };
}

describe("a process", () => {
  afterEach(() => {
    for (const child of started.splice(0)) child.kill("SIGKILL");
  });

  it("is found by a whole argument, and ended by number and start time together", async () => {
    const marker = `larder-test-${process.pid}`;
    const [mine, other] = await Promise.all([idle(marker), idle(`${marker}-other`)]);
    const { ended, ...identity } = mine;
    assert.deepEqual(await findByArgument(marker), [identity]);
    assert.equal(killByIdentity({ ...identity, startTime: "1" }), false, "another process had this number");
    assert.equal(isAlive(identity), true);
    assert.equal(killByIdentity(identity), true);
    await ended;
    assert.equal(isAlive(identity), false);
    assert.equal(killByIdentity(identity), false);
    assert.equal(isAlive(other), true);
    assert.deepEqual(await findByArgument(marker), []);
  });

  it("that asks is not found by its own argument", async () => {
    assert.deepEqual(
      await findByArgument(process.argv[0] as string).then((all) =>
        all.map(({ pid }) => pid).includes(process.pid),
      ),
      false,
    );
  });

  it("has a start time whatever its name is, until it has ended", () => {
    const rest = Array.from({ length: 17 }, (_, i) => String(i + 5)).join(" ");
    assert.equal(parseStartTime(`7 (node) S 1 ${rest} 4242 0`), "4242");
    assert.equal(parseStartTime(`7 (a) b) c (d) R 1 ${rest} 4242 0`), "4242");
    assert.equal(parseStartTime(`7 (node) Z 1 ${rest} 4242 0`), undefined);
    assert.equal(startTimeOf(2 ** 30), undefined);
  });
});
