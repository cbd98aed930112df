// What a sandbox costs above bare QEMU: create → `bash -l -c true`, against the same snapshot restored without
// anything of ours and the same command through the same channel; in one run, in turn. Needs a template in
// LARDER_DATA.
import { benchNode } from "./bench-node.ts";
import { median, rounded } from "./medians.ts";

const rounds = Number(process.argv[2] ?? 20);
const signal = AbortSignal.timeout(30 * 60_000);
await using node = await benchNode({ ...process.env, LARDER_POOL: "0" }, signal);
const { sandboxes, meter, machine } = node;
const times: { ours: number[]; floor: number[] } = { ours: [], floor: [] };
for (let round = 0; round < rounds; round++) {
  const { ms, id } = await node.create();
  await sandboxes.kill(id);
  times.ours.push(ms);
  times.floor.push(await node.floor());
  console.log(
    `round ${round + 1}: ours ${rounded(times.ours.at(-1) ?? 0)} ms, floor ${rounded(times.floor.at(-1) ?? 0)} ms`,
  );
}
const steps: Record<string, number> = {};
for (const step of [
  "lease",
  "directories",
  "rootfs",
  "export",
  "overlay",
  "files",
  "memfile",
  "machine",
  "restore",
  "channel",
  "init",
]) {
  const labels = { step };
  const count = meter.get("larder_create_step_seconds_count", labels);
  if (count > 0) steps[step] = rounded((1000 * meter.get("larder_create_step_seconds_sum", labels)) / count);
}
console.log("mean milliseconds of each step of ours:", steps);
const medians = { oursMs: rounded(median(times.ours)), floorMs: rounded(median(times.floor)) };
const ratio = rounded(medians.oursMs / medians.floorMs, 3);
console.log(JSON.stringify({ bench: "restore", rounds, ...machine, ...medians, steps, ratio }));
