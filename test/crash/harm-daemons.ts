import { FaultWorld } from "./fault-world.ts";
import { KillWorld } from "./kill-world.ts";

/** What every step of an operation is tried with; the name of the step is told. */
interface World extends AsyncDisposable {
  readonly printed: string;
  /** Resolves to how it went, for people. */
  tryAt(step: number): Promise<string>;
  readonly end?: () => Promise<void>;
}

interface Trial {
  readonly name: string;
  readonly begin: () => Promise<{ readonly world: World; readonly steps: readonly string[] }>;
}

/** Kills a daemon at these steps of an operation, or at all; resolves to how many failed. */
export function killDaemons(operation: string, points: readonly number[]): Promise<number> {
  const begin = async () => {
    const world = await KillWorld.begin(operation);
    const steps = await world.count();
    const tryAt = async (step: number) => {
      const died = await world.killAt(step);
      return `${died ? "killed there" : "killed afterwards"}; the slowest took ${world.slowestMs} ms`;
    };
    return { steps, world: worldOf(world, tryAt) };
  };
  return tryAll({ name: `${operation}, killed`, begin }, points);
}

/** Lets these steps of a pause or a snapshot fail, or all until its answer; resolves to how many went wrong. */
export function failDaemons(operation: string, points: readonly number[]): Promise<number> {
  const begin = async () => {
    const world = await FaultWorld.begin(operation);
    const steps = await world.count();
    const end = () => world.assertNoLeaks();
    return { steps, world: worldOf(world, (step) => world.failAt(step), end) };
  };
  return tryAll({ name: `${operation}, with a fault`, begin }, points);
}

function worldOf(world: KillWorld | FaultWorld, tryAt: World["tryAt"], end?: () => Promise<void>): World {
  return {
    tryAt,
    ...(end && { end }),
    get printed() {
      return world.printed;
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

/** After one that failed it begins anew: what it has left is not to be held against the next. */
async function tryAll({ name, begin }: Trial, wanted: readonly number[]): Promise<number> {
  const first = await begin();
  let { world } = first;
  const { steps } = first;
  let failed = 0;
  const points = wanted.length > 0 ? wanted : steps.map((_, i) => i + 1);
  try {
    for (const step of points) {
      const what = `${name} at step ${step} of ${steps.length}, ${steps[step - 1] ?? "which is none"}`;
      try {
        console.log(`${what}: ${await world.tryAt(step)}`);
      } catch (error) {
        failed += 1;
        console.log(`${what}: FAILED`, error, `\n${world.printed}`);
        await world[Symbol.asyncDispose]();
        ({ world } = await begin());
      }
    }
    await world.end?.();
  } finally {
    await world[Symbol.asyncDispose]();
  }
  console.log(`${name}: ${points.length} of ${steps.length} steps, ${failed} failed`);
  return failed;
}
