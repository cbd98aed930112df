import { describe, it } from "node:test";
import { makeLibrary } from "./library.ts";
import { runWorld } from "./shrink.ts";
import { shapeOf } from "./world-shape.ts";

/** Seeds that `npm test` tries: some at random would not fail twice. The long run is `npm run simulate`. */
const seeds = Array.from({ length: 40 }, (_, i) => i + 1);

describe("a world in which disks, bucket and network fail, and nodes die", () => {
  it("C1, C2, C4, C7, C8, C9, C10, C11, C15, C18, C19, C20, C21, C22, C23, C24, C25, C27, C28: hold", async () => {
    const library = await makeLibrary();
    for (const seed of seeds) {
      const { failure } = await runWorld(library, seed, shapeOf(seed));
      if (failure === undefined) continue;
      const message = `seed ${seed}: replay it with npm run simulate -- --seed ${seed}`;
      throw new Error(message, { cause: failure });
    }
  });
});
