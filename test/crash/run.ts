import { availableParallelism } from "node:os";
import { CrashWorld } from "./crash-world.ts";

/**
 * Kills a process that works as a node does before every step of its disk, one run for each, and checks the next
 * start.
 *
 *   node test/crash/run.ts            all steps
 *   node test/crash/run.ts 17 200     some of them
 */
await using world = await CrashWorld.make();
const wanted = process.argv.slice(2).map(Number);
const { steps, kinds } = await world.countSteps();
console.log(`${steps} steps:`, JSON.stringify(kinds));
const points = wanted.length > 0 ? wanted : Array.from({ length: steps }, (_, i) => i + 1);
const waiting = [...points];
let failed = 0;
await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, killSome));
console.log(`${points.length} kill points of ${steps} steps, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function killSome(): Promise<void> {
  for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
    try {
      await world.killAt(point);
    } catch (error) {
      failed += 1;
      console.log(`killed before step ${point}:`, error);
    }
  }
}
