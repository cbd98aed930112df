import { describe, it } from "node:test";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { KillWorld } from "../crash/kill-world.ts";
import { operations } from "../crash/operations.ts";

/** How many steps of each operation are tried; `npm run crash` tries all of them. */
const sample = Number(process.env["LARDER_KILLS"] ?? 2);

describe("a daemon that is killed at any step of its work", () => {
  const random = new SeededRandom(Date.now());
  for (const what of Object.keys(operations)) {
    it(`leaves nothing half done: ${what}`, async () => {
      await using world = await KillWorld.begin(what);
      const steps = await world.count();
      for (let i = 0; i < sample; i++) {
        // One of each stretch of the work.
        const step = 1 + Math.floor(((i + random.fraction()) * (steps.length - 1)) / sample);
        await world.killAt(step).catch((cause: unknown) => {
          const where = `${step} of ${steps.length}, ${steps[step - 1]}`;
          throw new Error(`killed before step ${where}:\n${world.printed}`, { cause });
        });
      }
    });
  }
});
