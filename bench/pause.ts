// What sleeping costs: how long a pause takes, and for each MiB that was written; how long waking takes until a
// command has run, beside bare QEMU brought to the same state from the same files; what one sandbox more takes of
// memory. npm run bench -- pause [ROUNDS]. Needs a template in LARDER_DATA.
import { benchNode } from "./bench-node.ts";
import { median, rounded, since } from "./medians.ts";
import { proportionalBytes } from "./proportional-bytes.ts";

const rounds = Number(process.argv[2] ?? 5);
const sizesMib = [0, 32, 128];
const mib = 2 ** 20;
const signal = AbortSignal.timeout(60 * 60_000);
await using node = await benchNode({ ...process.env, LARDER_POOL: "0" }, signal);
const { sandboxes, meter, machine } = node;

/** The label `step` of the time that a pause takes. */
const steps = ["stop", "state", "pages", "clusters", "pack", "adopt"];

interface Times {
  readonly pauseMs: number[];
  readonly resumeMs: number[];
  readonly floorMs: number[];
}

async function sleepOnce(sizeMib: number, times: Times): Promise<void> {
  const { id, view } = await node.create();
  await node.run(view, `head -c ${sizeMib}M /dev/urandom > /dev/shm/written`);
  const paused = performance.now();
  await sandboxes.pause(id, true);
  times.pauseMs.push(since(paused));
  times.floorMs.push(await node.floor(await node.buildOf(id), view));
  const resumed = performance.now();
  const { view: awake } = await sandboxes.connect(id, { timeoutMs: 60_000 }, signal);
  await node.run(awake, "true");
  times.resumeMs.push(since(resumed));
  await sandboxes.kill(id);
}

/** What three sandboxes more take, each, while they do nothing. */
async function bytesOfOneMore(): Promise<number> {
  const total = () => proportionalBytes(sandboxes.inspect().sandboxes);
  const ids = [(await node.create()).id];
  const one = await total();
  for (let i = 0; i < 3; i++) ids.push((await node.create()).id);
  const all = await total();
  for (const id of ids) await sandboxes.kill(id);
  return (all - one) / 3;
}

/** Mean milliseconds. */
function meanSteps(): Record<string, number> {
  const mean = (step: string) => {
    const of = (what: string) => meter.get(`larder_snapshot_step_seconds_${what}`, { step });
    return rounded((1000 * of("sum")) / Math.max(1, of("count")));
  };
  return Object.fromEntries(steps.map((step) => [step, mean(step)]));
}

const bySize = [];
for (const sizeMib of sizesMib) {
  const times: Times = { pauseMs: [], resumeMs: [], floorMs: [] };
  meter.values.clear();
  for (let round = 0; round < rounds; round++) await sleepOnce(sizeMib, times);
  const resumeRatio = rounded(median(times.resumeMs) / median(times.floorMs), 3);
  const medians = Object.fromEntries(
    Object.entries(times).map(([name, values]) => [name, rounded(median(values as number[]))]),
  ) as Record<keyof Times, number>;
  bySize.push({ writtenMib: sizeMib, ...medians, resumeRatio, pauseSteps: meanSteps() });
  console.log(bySize.at(-1));
}
const [least, most] = [bySize[0], bySize.at(-1)];
if (least === undefined || most === undefined) throw new Error("nothing was measured");
const pauseMsPerMib = rounded((most.pauseMs - least.pauseMs) / (most.writtenMib - least.writtenMib), 2);
const megabytesOfOneMore = rounded((await bytesOfOneMore()) / mib);
console.log(
  JSON.stringify({ bench: "pause", rounds, ...machine, bySize, pauseMsPerMib, megabytesOfOneMore }),
);
