import { availableParallelism } from "node:os";
import { CrashWorld } from "./crash-world.ts";

/** Kills a process that works as a node does before these steps of its disk, or all; resolves to how many failed. */
export async function killNodes(wanted: readonly number[]): Promise<number> {
  await using world = await CrashWorld.make();
  const { steps, kinds } = await world.countSteps();
  console.log(`${steps} steps:`, JSON.stringify(kinds));
  const points = wanted.length > 0 ? wanted : Array.from({ length: steps }, (_, i) => i + 1);
  const waiting = [...points];
  let failed = 0;
  const killSome = async () => {
    for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
      try {
        await world.killAt(point);
      } catch (error) {
        failed += 1;
        console.log(`killed before step ${point}:`, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, killSome));
  console.log(`${points.length} kill points of ${steps} steps, ${failed} failed`);
  return failed;
}
