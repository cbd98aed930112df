#!/usr/bin/env node
// What must hold before a change is committed: types, lint, format, house rules, unit tests. `npm run check` runs it.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runStep } from "./lib/step.mjs";

const home = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const test = ["node", "--test", "--test-concurrency=2", "--test-timeout=60000", "--test-reporter=dot"];

/** Steps of one stage run at the same time. The unit tests have the processors to themselves. */
const stages = [
  {
    types: ["tsc", "-p", "."],
    lint: ["oxlint", "--type-aware"],
    format: ["biome", "check"],
    house: [...test, "test/house.test.ts"],
  },
  { "unit tests": [...test, "src/**/*.test.ts"] },
];

const begun = performance.now();
let allWell = true;
for (const stage of stages) {
  const steps = Object.entries(stage).map(([name, command]) => runStep(home, name, command));
  const outcomes = await Promise.all(steps);
  allWell &&= outcomes.every(Boolean);
}
const seconds = ((performance.now() - begun) / 1000).toFixed(1);
console.log(
  allWell ? `All is well, after ${seconds} s.` : `Something failed, after ${seconds} s: see above.`,
);
process.exitCode = allWell ? 0 : 1;
