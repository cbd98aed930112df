import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { Failure } from "../../src/base/failure.ts";
import { systemRandom } from "../../src/base/random.ts";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { MachineShape } from "../../src/build/manifest.ts";
import { chunkBytes } from "../../src/build/artifact.ts";
import { randomImage } from "../../src/build/testing/random-image.ts";
import type { Disk } from "../../src/cache/disk.ts";
import { publishedTemplate, sandboxRecord } from "../../src/store/testing/sample-records.ts";
import { FailedRestores } from "../../src/template/failed-restores.ts";
import { importTemplates } from "../../src/template/import-templates.ts";
import { finishTemplate } from "../../src/template/make-base.ts";
import { madeTemplates, makeTemplate } from "../../src/template/made-template.ts";
import { CrashNode, openStore } from "./crash-node.ts";
import { never, type Place } from "./workload.ts";

/** Which block each of these fills with which byte, over what its parent is. */
export const fills: Readonly<Record<"i1" | "i2" | "snap", readonly [block: number, byte: number]>> = {
  ...{ i1: [1, 7], i2: [2, 9], snap: [3, 0] },
};

/** What root disk and agent disk of `base` hold, one behind the other, by the recipe it was made from. */
export function baseImage(recipe: string): Buffer {
  return randomImage(new SeededRandom(recipe.length), 2);
}

const shape: MachineShape = {
  ...{ vmm: "qemu", vmmVersion: "1", machineType: "m", accelerator: "tcg", cpuModel: "c" },
  ...{ vcpus: 1, memoryBytes: 2 ** 20 },
};

/**
 * All by which a node changes its store and the bucket: templates made, published and made anew; builds of sandboxes,
 * one over the other; a snapshot with a name; what is needed no more; garbage; a lost store. May begin again anywhere.
 */
export async function workOnNode(place: Place, disk: Disk): Promise<void> {
  {
    await using node = await CrashNode.open(place, disk);
    await nameBuilds(node, place);
    await makeBase(node, place, "first");
    await makeSandboxes(node, place);
    await makeBase(node, place, "second one");
    await node.store.templateTags.assign("base", ["stable"]);
    await node.published();
    for (const id of ["i1", "i2"]) await node.store.sandboxes.delete(id);
    node.builds.sweep();
    await node.builds.swept();
    await node.collect();
  }
  await using node = await CrashNode.open(place, disk);
  await rm(path.join(place.data, "again.db"), { force: true });
  await using again = await openStore(place.data, "again.db");
  await importTemplates({ bucket: node.bucket, store: again, random: systemRandom }, never);
}

/** The builds that were there from the start are templates, so that no collection takes them. */
async function nameBuilds({ store }: CrashNode, { builds }: Place): Promise<void> {
  for (const [i, id] of builds.entries()) {
    const name = `old-${i}`;
    if ((await store.templates.find(name)) === undefined)
      await store.templates.publish({ ...publishedTemplate({ id }), name });
  }
}

async function makeSandboxes(node: CrashNode, { builds }: Place): Promise<void> {
  const { store } = node;
  let parent = builds[0] ?? "";
  for (const id of ["i1", "i2"] as const) {
    const known = (await store.sandboxes.all()).find((each) => each.id === id);
    if (known === undefined) {
      await using held = await node.take(parent, ...fills[id]);
      await store.sandboxes.insert(sandboxRecord({ id, build: held.build, state: "paused" }));
      parent = held.build;
    } else parent = known.build;
  }
  await using held = await node.take(parent, ...fills.snap);
  const build = { id: held.build, vcpus: 1, memoryBytes: 2 ** 20, diskBytes: 2 ** 20 };
  await store.snapshots.save({ name: "snap", sandboxId: "i2", build });
}

/** What `larder up` does for a template of another recipe: goes on with what was made, or makes it. */
async function makeBase(node: CrashNode, place: Place, recipe: string): Promise<void> {
  const { store, bucket } = node;
  const madeDirectory = path.join(place.data, "made");
  const all = (await store.cards.all()).flatMap(({ builds }) => builds);
  if (all.some((each) => each.recipe === recipe)) return await removeMade(madeDirectory);
  const options = {
    ...{ recipe, bucket, templates: store.templates, clock: systemClock, onProgress: () => {} },
    failures: new FailedRestores(path.join(place.data, "failed-restores.json")),
    prove: async ({ build }: { readonly build: string }) => {
      node.cache.announcePublished(build);
      if (!(await node.read(build)).equals(baseImage(recipe))) throw new Failure("corrupt", "another disk");
    },
  };
  const left = (await madeTemplates(madeDirectory)).find((each) => each.recipe === recipe);
  const made = left ?? (await bootBase(place, madeDirectory, recipe));
  await finishTemplate(options, made, true, never);
}

/** What a name leads to needs no copy any more. */
async function removeMade(place: string): Promise<void> {
  for (const { directory } of await madeTemplates(place))
    await rm(directory, { recursive: true, force: true });
}

async function bootBase(place: Place, madeDirectory: string, recipe: string) {
  const directory = path.join(place.data, "boot");
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory);
  const write = async (name: string, bytes: Buffer) => {
    await writeFile(path.join(directory, name), bytes);
    return path.join(directory, name);
  };
  const disks = baseImage(recipe);
  const rootfs = await write("rootfs", disks.subarray(0, chunkBytes));
  const agentDisk = await write("agent-disk", disks.subarray(chunkBytes));
  const memfile = await write("memfile", randomImage(new SeededRandom(3), 1));
  const snapfile = await write("snapfile", Buffer.from("device state"));
  const snapshot = { rootfs, memfile, snapfile, metafile: Buffer.from("{}") };
  const kernel = await write("kernel", Buffer.from(`kernel of ${recipe}`));
  const inputs = [{ name: "kernel", path: kernel }] as const;
  const createdAt = new Date(0).toISOString();
  const parts = { snapshot, agentDisk, inputs, recipe, shape, createdAt, onProgress: () => {} };
  return await makeTemplate(madeDirectory, parts, never);
}
