import { parseArgs } from "node:util";
import { makeLibrary } from "./library.ts";
import { World } from "./world.ts";

/**
 * Runs many worlds, or replays one.
 *
 *   npm run simulate -- --seeds 1000 --first 1     so many, from that one on
 *   npm run simulate -- --seed 17                  one, with its trace
 */
const { values } = parseArgs({
  options: { seeds: { type: "string" }, first: { type: "string" }, seed: { type: "string" } },
});
const one = values.seed === undefined ? undefined : Number(values.seed);
const first = one ?? Number(values.first ?? 1);
const count = one === undefined ? Number(values.seeds ?? 100) : 1;
const library = await makeLibrary();
const begun = performance.now();
const failed: number[] = [];
for (let seed = first; seed < first + count; seed++) {
  const world = new World(library, seed);
  try {
    await world.run();
    if (one !== undefined) console.log(world.trace.join("\n"));
  } catch (error) {
    failed.push(seed);
    if (one !== undefined) console.log(world.trace.join("\n"));
    console.log(`seed ${seed}:`, one === undefined ? String(error).split("\n")[0] : error);
  }
}
const seconds = (performance.now() - begun) / 1000;
console.log(`${count} worlds, ${failed.length} failed, ${(count / seconds).toFixed(1)} worlds a second`);
process.exitCode = failed.length === 0 ? 0 : 1;
