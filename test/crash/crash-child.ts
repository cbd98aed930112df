import { realDisk } from "../../src/cache/disk.ts";
import { type DiskStep, FaultyDisk } from "../../src/cache/testing/faulty-disk.ts";
import { type Place, work } from "./workload.ts";

/**
 * A process that works on a shelf and is killed, as by `kill -9`, right before the step of its disk that was named;
 * with 0 it lives, and prints how many steps there were.
 *
 *   node crash-child.ts PLACE-AS-JSON STEP
 */
const [json = "", step = "0"] = process.argv.slice(2);
/** What changes the disk, or decides what survives. */
const changing: readonly DiskStep["operation"][] = [
  ...(["makeDirectory", "protect", "rename", "link", "remove", "syncDirectory"] as const),
  ...(["open", "write", "resize", "sync", "punch"] as const),
];
let steps = 0;
const disk = new FaultyDisk(realDisk);
disk.plan = ({ operation }) => {
  if (!changing.includes(operation)) return undefined;
  steps += 1;
  if (steps === Number(step)) process.kill(process.pid, "SIGKILL");
  return undefined;
};
await work(JSON.parse(json) as Place, disk);
console.log(String(steps));
