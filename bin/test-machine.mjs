#!/usr/bin/env node
// The tests that need what this machine brings: QEMU, a template, the clients that people have. `npm test` runs all of
// them; whoever names files runs those.
// The template is made first, in a directory of its own (LARDER_TEST_DATA, else a temporary one that is removed).
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { toolEnvironment } from "./lib/step.mjs";

const home = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const named = process.argv.slice(2);
const tests = named.length > 0 ? named : globSync("test/machine/**/*.test.ts", { cwd: home });

if (tests.length === 0) {
  console.error("no test was found in test/machine: something is wrong with this copy of the project");
  process.exitCode = 1;
} else {
  const kept = process.env.LARDER_TEST_DATA;
  // Not /tmp, which may lie in memory: a template is larger than that.
  const data = kept ?? mkdtempSync("/var/tmp/larder-test-");
  try {
    process.exitCode = makeTemplate(data) && runTests(data) ? 0 : 1;
  } finally {
    if (kept === undefined) rmSync(data, { recursive: true, force: true });
  }
}

function makeTemplate(data) {
  return run("making the template", { LARDER_DATA: data }, [
    path.join(home, "bin", "larder.mjs"),
    ...["template", "build", "base"],
  ]);
}

function runTests(data) {
  const options = ["--test", "--test-concurrency=1", "--test-timeout=600000"];
  return run("tests on this machine", { LARDER_TEST_DATA: data }, [...options, ...tests]);
}

/** Runs the project's Node with its output on the screen. True when it ended well. */
function run(what, more, args) {
  const begun = performance.now();
  const env = { ...toolEnvironment(home), ...more };
  const { error, signal, status } = spawnSync("node", args, { cwd: home, stdio: "inherit", env });
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const outcome = status === 0 ? "ok" : `FAILED (${error?.message ?? signal ?? status})`;
  console.log(`${outcome}: ${what}, ${seconds} s`);
  return status === 0;
}
