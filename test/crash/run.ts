import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { run } from "../machine/testing/served.ts";
import { failDaemons, killDaemons } from "./harm-daemons.ts";
import { killNodes } from "./kill-nodes.ts";
import { operations } from "./operations.ts";

/**
 * Kills what works with a disk before every step of its work, one after the other, and checks the next start:
 * `cache`, a process that works as a node does, without machines; and a whole daemon while somebody asks it to create,
 * pause, resume, snapshot, fork or kill a sandbox. With `faults` each step of a pause and of a snapshot fails instead.
 *
 *   node test/crash/run.ts                    all steps of all; an hour and more
 *   node test/crash/run.ts cache              all steps of one
 *   node test/crash/run.ts pause resume       all steps of some
 *   node test/crash/run.ts pause 17 200       some of them
 */
const words = process.argv.slice(2);
const points = words.filter((word) => /^\d+$/.test(word)).map(Number);
const daemons = Object.keys(operations);
const parts = ["cache", ...daemons, "faults"];
const named = words.filter((word) => !/^\d+$/.test(word));
// Numbers alone are of the cache.
const wanted = named.length > 0 ? named : points.length > 0 ? ["cache"] : parts;
for (const each of wanted) assert.ok(parts.includes(each), `'${each}' is none of ${parts.join(", ")}`);

let failed = 0;
if (wanted.includes("cache")) failed += await killNodes(points);
if (wanted.some((each) => each !== "cache")) await withTemplate(harmDaemons);
process.exitCode = failed === 0 ? 0 : 1;

async function harmDaemons(): Promise<void> {
  for (const each of daemons.filter((name) => wanted.includes(name)))
    failed += await killDaemons(each, points);
  if (wanted.includes("faults"))
    for (const each of ["pause", "snapshot"]) failed += await failDaemons(each, points);
}

/** In a directory of its own, unless LARDER_TEST_DATA names one. */
async function withTemplate(work: () => Promise<void>): Promise<void> {
  const kept = process.env["LARDER_TEST_DATA"];
  // Not /tmp, which may lie in memory: a template is larger than that.
  const data = kept ?? (await mkdtemp("/var/tmp/larder-crash-"));
  process.env["LARDER_TEST_DATA"] = data;
  try {
    const launcher = path.join(import.meta.dirname, "../../bin/larder.mjs");
    const made = await run([launcher, "template", "build", "base"], { ...process.env, LARDER_DATA: data });
    assert.equal(made.code, 0, made.stderr);
    await work();
  } finally {
    if (kept === undefined) await rm(data, { recursive: true, force: true });
  }
}
