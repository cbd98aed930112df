import { describe, it } from "node:test";
import { makeLibrary } from "./library.ts";
import { World } from "./world.ts";
import { shapeOf } from "./world-shape.ts";

/** Seeds that `npm test` tries: some at random would not fail twice. The long run is `npm run simulate`. */
const seeds = [...Array.from({ length: 20 }, (_, i) => i + 1), 101, 102, 114, 142, 160, 189, 222, 231];

describe("a world in which disk and bucket fail and the power is lost", () => {
  it("C1, C2, C4, C8, C9, C10, C11, C15, C17, C18, C19, C21, C22, C28: keeps its promises", async () => {
    const library = await makeLibrary();
    for (const seed of seeds) {
      const world = new World(library, seed, shapeOf(seed));
      await world.run().catch((error: unknown) => {
        throw new Error(`seed ${seed}: replay it with npm run simulate -- --seed ${seed}`, { cause: error });
      });
    }
  });
});
