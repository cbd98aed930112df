import { Failure } from "../../src/base/failure.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { Lease } from "../../src/cache/lease.ts";
import type { MadeBuild } from "../../src/build/make-build.ts";
import type { ModelBuild } from "./library.ts";
import type { Node } from "./node.ts";
import { madeDirectory, publisherHolder } from "./publishing.ts";
import type { Making, Scene } from "./scene.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";
import { randomOf } from "./world-shape.ts";

/** What may happen to anybody; all else is a bug. */
export function isWeather(error: unknown): boolean {
  return error instanceof Failure && error.code !== "internal" && error.code !== "invalid";
}

/** Evicts, pins, verifies and clears, whatever the readers do. */
export async function operate(scene: Scene, node: Node, from: SeededRandom): Promise<void> {
  const random = randomOf(from.below(2 ** 31), "operator");
  const { operator } = node.cache;
  for (let round = 0; round < 6; round++) {
    await node.clock.pause(random.below(500));
    const { known } = scene;
    const { build = "" } = known[random.below(known.length)] ?? {};
    const acts = [
      () => operator.evict(build),
      () => operator.pin(build),
      () => operator.unpin(build),
      () => operator.verify(build, new AbortController().signal),
      () => acquireWhileClosing(scene, node, build, random.below(20)),
      async () => {
        node.requests.forget();
        node.cache.clearBackoffs();
      },
    ];
    try {
      await acts[random.below(acts.length)]?.();
    } catch (error) {
      if (!isWeather(error) && !node.isDead) scene.watch.violations.push(error);
    }
  }
  for (const { build } of scene.known) await operator.unpin(build).catch(() => {});
}

/** C16: whoever comes while a build is being evicted waits for that, and then has it afresh. */
async function acquireWhileClosing(scene: Scene, node: Node, build: string, ms: number): Promise<void> {
  const patience = new AbortController();
  using _timer = node.clock.after(10_000, () =>
    patience.abort(new Failure("unavailable", "it takes too long")),
  );
  const evicting = node.cache.evict(build).catch(() => false);
  await node.clock.pause(ms);
  await using lease = await node.cache.acquire(build, "a newcomer", patience.signal);
  await lease.open("rootfs", patience.signal);
  await evicting;
  await node.clock.pause(50);
  if (node.isDead || !node.isDiskGood || !node.cache.operator.describe(build).recorded) return;
  if (!node.hasFile(`/shelf/builds/${build}/manifest.json`))
    scene.watch.violate(`C16: a build that is leased was evicted: ${build}`);
}

/** Makes builds on this node, as pauses do, keeps them on the shelf, and has them published by and by. */
export async function make(scene: Scene, node: Node, disk: SimulatedDisk, from: SeededRandom): Promise<void> {
  const random = randomOf(from.below(2 ** 31), "maker");
  node.bucket.refuses = random.below(3) === 0;
  await node.clock.pause(random.below(1_500));
  for (const child of scene.library.children) {
    if (random.below(2) === 0 || !mayBegin(scene, child)) continue;
    const directory = madeDirectory(child.build);
    for (const [name, bytes] of child.files) disk.place(`${directory}/${name}`, bytes);
    const made = { manifest: child.manifest, directory };
    try {
      const lease = await adopt(scene, node, made);
      scene.note(`${node.name} has made ${child.build.slice(0, 4)}`);
      node.publisher.add(made, lease);
    } catch (error) {
      if (node.isDead) return;
      scene.note(`${node.name} could not make a build: ${String(error)}`);
      if (!isWeather(error)) scene.watch.violations.push(error);
      await node.disk.remove(directory).catch(() => {});
    }
  }
}

/** Nobody has begun it, and what it is made over may be asked for. */
function mayBegin(scene: Scene, { build, manifest }: ModelBuild): boolean {
  const known = new Set(scene.known.map((each) => each.build));
  return !scene.makings.has(build) && manifest.ancestors.every((ancestor) => known.has(ancestor.build));
}

/** On the shelf, durable, and leased; while the sandbox that it is made of holds what it was started from. */
async function adopt(scene: Scene, node: Node, made: MadeBuild): Promise<Lease> {
  const { build, ancestors } = made.manifest;
  const making: Making = { node: node.name, state: "begun" };
  scene.makings.set(build, making);
  const patience = new AbortController();
  using _timer = node.clock.after(30_000, () =>
    patience.abort(new Failure("unavailable", "it takes too long")),
  );
  const parents: Lease[] = [];
  try {
    for (const each of new Set(ancestors.map((ancestor) => ancestor.build)))
      parents.push(await node.cache.acquire(each, "a sandbox", patience.signal));
    const lease = await node.cache.adopt(made, publisherHolder, patience.signal);
    making.state = "kept";
    return lease;
  } catch (error) {
    if (!node.isDead) making.state = "failed";
    throw error;
  } finally {
    for (const lease of parents) await lease[Symbol.asyncDispose]();
  }
}
