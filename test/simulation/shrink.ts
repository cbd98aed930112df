import type { Library } from "./library.ts";
import { World } from "./world.ts";
import { smallerShapes, type WorldShape } from "./world-shape.ts";

/** How a world ends: with its trace, and with what was not as promised, if anything. */
export interface Ending {
  readonly trace: readonly string[];
  readonly failure: unknown;
}

export async function runWorld(library: Library, seed: number, shape: WorldShape): Promise<Ending> {
  const world = new World(library, seed, shape);
  try {
    await world.run();
    return { trace: world.trace, failure: undefined };
  } catch (failure) {
    return { trace: world.trace, failure };
  } finally {
    world.end();
  }
}

/** The smallest shape found of a seed in which something is not as promised; perhaps something else. */
export async function shrink(library: Library, seed: number, shape: WorldShape): Promise<WorldShape> {
  for (const smaller of smallerShapes(shape)) {
    if ((await runWorld(library, seed, smaller)).failure !== undefined)
      return await shrink(library, seed, smaller);
  }
  return shape;
}
