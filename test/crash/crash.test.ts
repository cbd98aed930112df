import { describe, it } from "node:test";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { CrashWorld } from "./crash-world.ts";

/** Kill points that `npm test` tries; `npm run crash` tries all of them. */
const sample = 10;

describe("a process that is killed at any step of its disk", () => {
  it("C21, C22, C26, C27: keeps what it had, publishes whole builds only, and goes on", async () => {
    await using world = await CrashWorld.make();
    const { steps } = await world.countSteps();
    const random = new SeededRandom(Date.now());
    for (let i = 0; i < sample; i++) {
      // One of each stretch of the run, so that the sample is spread over all that a shelf does.
      const step = 1 + Math.floor(((i + random.fraction()) * (steps - 1)) / sample);
      await world.killAt(step).catch((error: unknown) => {
        throw new Error(`killed before step ${step} of ${steps}`, { cause: error });
      });
    }
  });
});
