import { Failure } from "../../src/base/failure.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { Lease } from "../../src/cache/lease.ts";
import type { TemplateCache } from "../../src/cache/template-cache.ts";
import type { Node } from "./node.ts";
import type { Scene } from "./scene.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";
import { randomOf } from "./world-shape.ts";

const never = new AbortController().signal;
const holder = "publisher";

/** What may happen to anybody; all else is a bug. */
export function isWeather(error: unknown): boolean {
  return error instanceof Failure && error.code !== "internal" && error.code !== "invalid";
}

/** Evicts, pins, verifies and clears, whatever the readers do. */
export async function operate(scene: Scene, node: Node, from: SeededRandom): Promise<void> {
  const random = randomOf(from.below(2 ** 31), "operator");
  const { operator } = node.cache;
  for (let round = 0; round < 6; round++) {
    await node.clock.sleep(random.below(500), never);
    const { known } = scene;
    const { build = "" } = known[random.below(known.length)] ?? {};
    const acts = [
      () => operator.evict(build),
      () => operator.pin(build),
      () => operator.unpin(build),
      () => operator.verify(build, never),
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

/**
 * C20, C27: at a start, before anything may be evicted, what was made here and is not published is leased again. It is
 * there, though no bucket has it.
 */
export async function recall(
  scene: Scene,
  number: number,
  cache: TemplateCache,
  strict: boolean,
): Promise<void> {
  for (const [build, making] of scene.makings) {
    if (making.node !== number || scene.has(build) || making.state === "failed") continue;
    try {
      const lease = await cache.acquire(build, holder, never);
      making.lease = lease;
      making.state = "kept";
    } catch (error) {
      if (strict && making.state === "kept")
        scene.watch.violate(
          `C20, C27: build ${build}, made here and not published, is lost: ${String(error)}`,
        );
      making.state = "failed";
    }
  }
}

/** Makes builds on this node, as pauses do, keeps them on the shelf, and publishes some of them by and by. */
export async function make(
  scene: Scene,
  number: number,
  node: Node,
  disk: SimulatedDisk,
  from: SeededRandom,
): Promise<void> {
  const random = randomOf(from.below(2 ** 31), "maker");
  await node.clock.sleep(random.below(1_500), never);
  for (const child of scene.library.children) {
    if (scene.makings.has(child.build) || random.below(2) === 0) continue;
    const directory = `/unpublished/${child.build}`;
    for (const [name, bytes] of child.files) disk.place(`${directory}/${name}`, bytes);
    try {
      const lease = await adopt(scene, number, node, { manifest: child.manifest, directory });
      if (lease !== undefined) scene.note(`node ${number} has made ${child.build.slice(0, 4)}`);
    } catch (error) {
      if (node.isDead) return;
      scene.note(`node ${number} could not make a build: ${String(error)}`);
      if (!isWeather(error)) scene.watch.violations.push(error);
    }
  }
  await node.clock.sleep(random.below(4_000), never);
  for (const [build, making] of scene.makings) {
    if (making.node !== number || making.state !== "kept" || random.below(3) === 0) continue;
    await publish(scene, node, build);
  }
}

/** A publisher that ends hands its leases over to the next one, by what its directory says. */
export async function handOver(scene: Scene, number: number): Promise<void> {
  for (const making of scene.makings.values()) {
    if (making.node !== number) continue;
    await making.lease?.[Symbol.asyncDispose]();
    making.lease = undefined;
  }
}

/** What was kept of it is read from the shelf alone before the bucket has it; then it has. */
export async function publish(scene: Scene, node: Node, build: string): Promise<void> {
  const making = scene.makings.get(build);
  if (making === undefined || scene.has(build)) return;
  scene.publish(build);
  node.requests.forget();
  node.cache.announcePublished(build);
  scene.note(`${node.name} has published ${build.slice(0, 4)}`);
  const { lease } = making;
  making.lease = undefined;
  await lease?.[Symbol.asyncDispose]();
}

async function adopt(
  scene: Scene,
  number: number,
  node: Node,
  made: Parameters<TemplateCache["adopt"]>[0],
): Promise<Lease | undefined> {
  const { build, ancestors } = made.manifest;
  const patience = new AbortController();
  using _timer = node.clock.after(30_000, () =>
    patience.abort(new Failure("unavailable", "it takes too long")),
  );
  // The sandbox that it is made of holds what it was started from.
  const parents: Lease[] = [];
  try {
    for (const each of new Set(ancestors.map((ancestor) => ancestor.build)))
      parents.push(await node.cache.acquire(each, "a sandbox", patience.signal));
    if (scene.makings.has(build)) return undefined;
    const making = { node: number, state: "begun" as "begun" | "kept" | "failed", lease: undefined };
    scene.makings.set(build, making);
    try {
      const lease = await node.cache.adopt(made, holder, patience.signal);
      Object.assign(making, { lease, state: "kept" });
      return lease;
    } catch (error) {
      if (!node.isDead) making.state = "failed";
      throw error;
    }
  } finally {
    for (const lease of parents) await lease[Symbol.asyncDispose]();
  }
}
