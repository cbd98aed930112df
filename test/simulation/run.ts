import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { letGoBy } from "./crew.ts";
import "./small-chunks.ts";
import type { WorldShape } from "./world-shape.ts";

/**
 * Runs many worlds, or replays one.
 *
 *   npm run simulate -- --seeds 1000 --first 1            so many, from that one on, in a thread for each processor
 *   npm run simulate -- --seed 17                         one, with its trace
 *   npm run simulate -- --seed 17 --shape '{"nodes":1}'   a part of it: what a failed one was shrunk to
 *   … --threads 1                                         in so many threads
 *   … --until-failure                                     no more after the first that fails, which is not shrunk
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    first: { type: "string", default: "1" },
    seed: { type: "string" },
    shape: { type: "string", default: "{}" },
    threads: { type: "string", default: String(availableParallelism()) },
    "until-failure": { type: "boolean", default: false },
  },
});
/** How often it is said how far it is, in worlds. */
const tellEach = 10_000;
process.exitCode = values.seed === undefined ? await many() : await one(Number(values.seed));

async function many(): Promise<number> {
  const begun = performance.now();
  let [failed, told] = [0, 0];
  const say = (count: number) => {
    const seconds = (performance.now() - begun) / 1000;
    console.log(`${count} worlds, ${failed} failed, ${(count / seconds).toFixed(1)} worlds a second`);
  };
  const count = await letGoBy({
    first: Number(values.first),
    count: Number(values.seeds),
    threads: Number(values.threads),
    untilFailure: values["until-failure"],
    onReport: ({ seed, failure, shape }) => {
      if (failure !== undefined) console.log(`seed ${seed}: ${failure}`);
      if (failure !== undefined) failed += 1;
      if (shape !== undefined) console.log(`  ${replayOf(seed, shape)}`);
    },
    onProgress: (count) => {
      if (count - told >= tellEach) say((told = count));
    },
  });
  say(count);
  return failed === 0 ? 0 : 1;
}

async function one(seed: number): Promise<number> {
  const { makeLibrary } = await import("./library.ts");
  const { runWorld } = await import("./shrink.ts");
  const { shapeOf } = await import("./world-shape.ts");
  const given = JSON.parse(values.shape) as Partial<WorldShape>;
  const { trace, failure } = await runWorld(await makeLibrary(), seed, { ...shapeOf(seed), ...given });
  console.log(trace.join("\n"));
  if (failure !== undefined) console.log(`seed ${seed}:`, failure);
  return failure === undefined ? 0 : 1;
}

function replayOf(seed: number, shape: WorldShape): string {
  return `replay it with: npm run simulate -- --seed ${seed} --shape '${JSON.stringify(shape)}'`;
}
