// Many sandboxes at once, and one at a time with machines that wait: creates per second, how long each took until its
// first command had ended, what each costs in memory; beside the same snapshot restored by bare QEMU, one at a time.
// npm run bench -- burst [CREATES AT ONCE] [ROUNDS]. Needs a template in LARDER_DATA.
import { setTimeout as sleep } from "node:timers/promises";
import { benchNode } from "./bench-node.ts";
import { median, percentile, rounded, since } from "./medians.ts";
import { proportionalBytes } from "./proportional-bytes.ts";

const atOnce = Number(process.argv[2] ?? 20);
const rounds = Number(process.argv[3] ?? 20);
const signal = AbortSignal.timeout(60 * 60_000);
const limits = { LARDER_WAITING_MAX: "1000", LARDER_SANDBOXES_MAX: "1000" };
await using node = await benchNode({ ...process.env, ...limits, LARDER_POOL: "1" }, signal);
const { sandboxes, machine } = node;

/** Resolves when a machine waits for the next create. */
async function pooled(): Promise<void> {
  while (sandboxes.inspect().pool.length === 0) await sleep(20, undefined, { signal });
}

/** All at once; those that were refused are counted, and leave nothing behind. */
async function burst() {
  const started = performance.now();
  const outcomes = await Promise.allSettled(Array.from({ length: atOnce }, () => node.create()));
  const seconds = since(started) / 1000;
  const done = outcomes.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const memory = await proportionalBytes(sandboxes.inspect().sandboxes);
  for (const { id } of done) await sandboxes.kill(id);
  const left = sandboxes.inspect().sandboxes.length;
  return { seconds, done, refused: atOnce - done.length, left, memory };
}

const times = { pool: [] as number[], floor: [] as number[] };
for (let round = 0; round < rounds; round++) {
  await pooled();
  const { ms, id } = await node.create();
  times.pool.push(ms);
  await sandboxes.kill(id);
  await pooled(); // the one that is started for the next must not disturb the floor
  times.floor.push(await node.floor());
  console.log(
    `round ${round + 1}: with a pool ${rounded(ms)} ms, floor ${rounded(times.floor.at(-1) ?? 0)} ms`,
  );
}
const { seconds, done, refused, left, memory } = await burst();
const all = done.map(({ ms }) => ms);
const ms = { p50: percentile(all, 0.5), p95: percentile(all, 0.95), p99: percentile(all, 0.99) };
const medians = { poolMs: rounded(median(times.pool)), floorMs: rounded(median(times.floor)) };
const result = {
  ...{ bench: "burst", rounds, ...machine, ...medians },
  poolRatio: rounded(medians.poolMs / medians.floorMs, 3),
  burst: {
    ...{ atOnce, refused, left },
    perSecond: rounded(done.length / seconds, 2),
    ms: { p50: rounded(ms.p50), p95: rounded(ms.p95), p99: rounded(ms.p99) },
    megabytesEach: rounded(memory / Math.max(1, done.length) / 2 ** 20),
  },
};
console.log(JSON.stringify(result));
