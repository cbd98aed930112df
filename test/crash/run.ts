import { CrashWorld } from "./crash-world.ts";

/**
 * Kills a process that works on a shelf before every step of its disk, one run for each, and checks the next start.
 *
 *   node test/crash/run.ts            all steps
 *   node test/crash/run.ts 17 200     some of them
 */
await using world = await CrashWorld.make();
const wanted = process.argv.slice(2).map(Number);
const steps = await world.countSteps();
const points = wanted.length > 0 ? wanted : Array.from({ length: steps }, (_, i) => i + 1);
let failed = 0;
for (const point of points) {
  try {
    await world.killAt(point);
  } catch (error) {
    failed += 1;
    console.log(`killed before step ${point}:`, error);
  }
}
console.log(`${points.length} kill points of ${steps} steps, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
