#!/usr/bin/env node
// What must hold before a change is committed: types, lint, format, house rules, unit tests. `npm run check` runs it.
import { globSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runStep } from "./lib/step.mjs";

const home = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const test = ["node", "--test", "--test-timeout=60000", "--test-reporter=dot"];

const rules = {
  types: ["tsc", "-p", "."],
  lint: ["oxlint", "--type-aware"],
  format: ["biome", "check"],
  house: [...test, "test/house.test.ts"],
};

/** Each room's tests share one process: to start one for every file would take longer than the tests do. */
function unitTests() {
  const rooms = readdirSync(path.join(home, "src")).map((room) => {
    const files = `src/${room}/**/*.test.ts`;
    return { room, files, count: globSync(files, { cwd: home }).length };
  });
  // The largest first, so that no long one is left to run alone at the end.
  const ordered = rooms.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
  return Object.fromEntries(
    ordered.map(({ room, files }) => [`tests of ${room}`, [...test, "--test-isolation=none", files]]),
  );
}

/** Runs steps, `atOnceMax` at a time; true when all ended well. */
async function runSteps(steps, atOnceMax) {
  const waiting = Object.entries(steps);
  let allWell = true;
  const worker = async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const [name, command] = step;
      if (!(await runStep(home, name, command))) allWell = false;
    }
  };
  await Promise.all(Array.from({ length: atOnceMax }, worker));
  return allWell;
}

const begun = performance.now();
const rulesHold = await runSteps(rules, Object.keys(rules).length);
const testsPass = await runSteps(unitTests(), Math.min(4, Math.max(2, availableParallelism())));
const allWell = rulesHold && testsPass;
const seconds = ((performance.now() - begun) / 1000).toFixed(1);
console.log(
  allWell ? `All is well, after ${seconds} s.` : `Something failed, after ${seconds} s: see above.`,
);
process.exitCode = allWell ? 0 : 1;
