import { parseArgs } from "node:util";
import { makeLibrary } from "./library.ts";
import { runWorld, shrink } from "./shrink.ts";
import { shapeOf, type WorldShape } from "./world-shape.ts";

/**
 * Runs many worlds, or replays one.
 *
 *   npm run simulate -- --seeds 1000 --first 1            so many, from that one on
 *   npm run simulate -- --seed 17                         one, with its trace
 *   npm run simulate -- --seed 17 --shape '{"nodes":1}'   a part of it: what a failed one was shrunk to
 *   … --until-failure                                     no more after the first that fails, which is not shrunk
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    first: { type: "string" },
    seed: { type: "string" },
    shape: { type: "string" },
    "until-failure": { type: "boolean" },
  },
});
const library = await makeLibrary();
process.exitCode = values.seed === undefined ? await many() : await one(Number(values.seed));

async function many(): Promise<number> {
  const first = Number(values.first ?? 1);
  const count = Number(values.seeds ?? 100);
  const begun = performance.now();
  let [failed, done] = [0, 0];
  for (let seed = first; seed < first + count; seed++, done++) {
    const { failure } = await runWorld(library, seed, shapeOf(seed));
    if (failure === undefined) continue;
    failed += 1;
    console.log(`seed ${seed}: ${firstLine(failure)}`);
    if (values["until-failure"] === true) {
      done += 1;
      break;
    }
    const shape = await shrink(library, seed, shapeOf(seed));
    console.log(`  replay it with: npm run simulate -- --seed ${seed} --shape '${JSON.stringify(shape)}'`);
  }
  const seconds = (performance.now() - begun) / 1000;
  console.log(`${done} worlds, ${failed} failed, ${(done / seconds).toFixed(1)} worlds a second`);
  return failed === 0 ? 0 : 1;
}

async function one(seed: number): Promise<number> {
  const given = JSON.parse(values.shape ?? "{}") as Partial<WorldShape>;
  const { trace, failure } = await runWorld(library, seed, { ...shapeOf(seed), ...given });
  console.log(trace.join("\n"));
  if (failure !== undefined) console.log(`seed ${seed}:`, failure);
  return failure === undefined ? 0 : 1;
}

function firstLine(failure: unknown): string {
  return String(failure).split("\n")[0] ?? "";
}
