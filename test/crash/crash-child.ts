import { countSteps } from "./count-steps.ts";
import type { Place } from "./workload.ts";

/**
 * A process that works as a node does and is killed, as by `kill -9`, right before the step of its disk that was
 * named; with 0 it lives, and prints how many steps of which kind there were.
 *
 *   node crash-child.ts PLACE-AS-JSON STEP
 */
const [json = "", step = "0"] = process.argv.slice(2);
const kinds: Record<string, number> = {};
let steps = 0;

function onStep(kind: string): void {
  steps += 1;
  kinds[kind] = (kinds[kind] ?? 0) + 1;
  if (steps === Number(step)) process.kill(process.pid, "SIGKILL");
}

await countSteps(onStep);
const { realDisk } = await import("../../src/cache/disk.ts");
const { FaultyDisk } = await import("../../src/cache/testing/faulty-disk.ts");
const { work } = await import("./workload.ts");
const { workOnNode } = await import("./node-workload.ts");
const disk = new FaultyDisk(realDisk);
// By a system call of its own, which nobody else sees.
disk.plan = ({ operation }) => {
  if (operation === "punch") onStep(operation);
  return undefined;
};
const place = JSON.parse(json) as Place;
await work(place, disk);
await workOnNode(place, disk);
console.log(JSON.stringify({ steps, kinds }));
