import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { deleteBuild } from "../build/delete-build.ts";
import type { MachineShape } from "../build/manifest.ts";
import type { TemplateRecords } from "../store/template-records.ts";
import type { BaseInputs } from "./base-inputs.ts";
import { baseRecipe } from "./base-recipe.ts";
import type { Base, BaseHost, Proof } from "./base-types.ts";
import type { FailedRestores } from "./failed-restores.ts";
import type { FirstBootOptions, Snapshot } from "./first-boot.ts";
import { type MadeTemplate, makeTemplate, putTemplate } from "./made-template.ts";
import { type OnProgress, step, type Tell } from "./progress.ts";

export interface MakeOptions {
  readonly inputs: BaseInputs;
  readonly recipe: string;
  readonly failures: FailedRestores;
  readonly host: BaseHost;
  /** For everything on the way: emptied before, removed afterwards. */
  readonly directory: string;
  /** For builds that are yet to be published and proven; kept when this breaks off. */
  readonly madeDirectory: string;
  /** For the machine's sockets: short; made before, removed afterwards. */
  readonly socketDirectory: string;
  /** Names the machine among all processes of the host. */
  readonly machineId: string;
  /** The user that the machine runs as, where the daemon is root. */
  readonly uid?: number | undefined;
  /** Makes a snapshot of a machine that was booted. */
  readonly boot: (options: FirstBootOptions, signal: AbortSignal) => Promise<Snapshot>;
  readonly bucket: Bucket;
  readonly templates: Pick<TemplateRecords, "publish">;
  /** Starts one machine from the build, has it run something, and ends it; throws when any of that fails. */
  readonly prove: (proof: Proof, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress: OnProgress;
}

/**
 * Makes `base` for the first of `shapes` for which it runs. When even the last one does not restore, its machines
 * are booted from its disk each time; when they do not boot either, this throws.
 */
export async function makeFirstThatRuns(
  options: MakeOptions,
  shapes: readonly MachineShape[],
  signal: AbortSignal,
): Promise<Base> {
  for (const [index, shape] of shapes.entries()) {
    const isLast = index === shapes.length - 1;
    const bootOnce = () => boot(options, shape, signal);
    const bootIt = isLast ? () => twice(bootOnce, options, signal) : bootOnce;
    const made = await attempt(options, { shape, isLast }, bootIt, signal);
    const base = made && (await finishTemplate(options, made, isLast, signal));
    if (base !== undefined) return base;
  }
  throw new Failure("internal", "there is no machine to make base for");
}

/** What it takes to bring a build that lies whole on this disk to its name. */
export type FinishOptions = Pick<
  MakeOptions,
  "recipe" | "failures" | "bucket" | "templates" | "prove" | "clock" | "onProgress"
>;

/**
 * Publishes a build, proves it and gives it its name. It stays on this disk for the next time when that breaks off.
 * One that does not run is removed: the answer is undefined then, unless it was the last way.
 */
export async function finishTemplate(
  options: FinishOptions,
  made: MadeTemplate,
  isLast: boolean,
  signal: AbortSignal,
): Promise<Base | undefined> {
  const { bucket, templates, clock, onProgress, recipe } = options;
  const { manifest, shape } = made;
  // A bucket that is away says nothing about the machine.
  await step("publishing", clock, onProgress, async (tell) => {
    tell("to the bucket");
    await putTemplate(bucket, made, clock, signal);
  });
  const { build } = manifest;
  const { accelerator, vcpus, memoryBytes } = shape;
  const proof = { build, accelerator, vcpus, memoryBytes };
  const prove = async () => ({ restored: await restores(options, proof, isLast, signal) });
  const proven = await attempt(options, { shape, isLast }, prove, signal).catch(async (error: unknown) => {
    if (!signal.aborted) await discard(bucket, made, signal);
    throw error;
  });
  if (proven === undefined) {
    await discard(bucket, made, signal);
    return undefined;
  }
  const coldBoot = !proven.restored;
  const { name, diskBytes } = baseRecipe;
  const record = { id: build, diskBuild: build, recipe, shape, coldBoot, vcpus, memoryBytes, diskBytes };
  await templates.publish({ name, build: record });
  await rm(made.directory, { recursive: true, force: true });
  return { build, accelerator, coldBoot };
}

/** Removes a build that no name will lead to. What cannot be removed from the bucket now, a collection finds. */
export async function discard(bucket: Bucket, made: MadeTemplate, signal: AbortSignal): Promise<void> {
  await rm(made.directory, { recursive: true, force: true });
  await deleteBuild(bucket, made.manifest.build, signal).catch(() => {});
}

/** A machine that cannot be had otherwise is tried once more: the host may have been too busy for it. */
async function twice<T>(
  work: () => Promise<T>,
  { onProgress }: Pick<MakeOptions, "onProgress">,
  signal: AbortSignal,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (!Failure.is(error, "unavailable")) throw error;
    const detail = `${error.message}: trying once more`;
    onProgress({ step: "template base", detail, seconds: 0, done: false });
    return await work();
  }
}

/** What a machine that does not run here throws is remembered, and the answer is undefined: the next way is tried. */
async function attempt<T>(
  options: Pick<MakeOptions, "recipe" | "failures" | "onProgress">,
  { shape, isLast }: { readonly shape: MachineShape; readonly isLast: boolean },
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (isLast || Failure.is(error, "exhausted")) throw error;
    await options.failures.add(options.recipe, shape);
    const why = `${nameOf(shape)} does not run it here (${Failure.from(error).message}): trying the next way`;
    options.onProgress({ step: "template base", detail: why, seconds: 0, done: false });
    return undefined;
  }
}

async function boot(options: MakeOptions, shape: MachineShape, signal: AbortSignal): Promise<MadeTemplate> {
  const { host, machineId: id, uid } = options;
  const directory = await mkdtemp(path.join(options.directory, "boot-"));
  const { accelerator } = shape;
  const { machines, tscKhz } = host;
  const machine = { ...options, id, uid, directory, accelerator, host: machines, tscKhz };
  const snapshot = await options.boot(machine, signal);
  const made = await pack(options, { snapshot, shape }, signal);
  await rm(directory, { recursive: true });
  return made;
}

async function pack(
  options: MakeOptions,
  { snapshot, shape }: { readonly snapshot: Snapshot; readonly shape: MachineShape },
  signal: AbortSignal,
): Promise<MadeTemplate> {
  const { inputs, recipe, clock, onProgress, madeDirectory } = options;
  return await step("packing", clock, onProgress, async (tell) => {
    tell("kernel, disks");
    const named = [
      { name: "kernel", path: inputs.kernel },
      { name: "initrd", path: inputs.initrd },
    ] as const;
    const createdAt = new Date(clock.now()).toISOString();
    const { agentDisk } = inputs;
    const parts = { snapshot, agentDisk, inputs: named, recipe, shape, createdAt, onProgress: tell };
    return await makeTemplate(madeDirectory, parts, signal);
  });
}

/**
 * Proves a build by one restore. Where that fails and `mayBoot`, the build is proven by a boot instead, and the
 * answer is false.
 */
async function restores(
  { prove, clock, onProgress }: FinishOptions,
  proof: Omit<Proof, "how">,
  mayBoot: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  return step("proof", clock, onProgress, async (tell: Tell) => {
    tell("one restore");
    try {
      await prove({ ...proof, how: "restore" }, signal);
      tell("it restores and runs a command");
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (!mayBoot) throw error;
      tell(`it does not restore (${Failure.from(error).message}): trying a boot`);
    }
    await prove({ ...proof, how: "boot" }, signal);
    tell("it boots and runs a command: sandboxes will be booted, which takes seconds each");
    return false;
  });
}

function nameOf({ accelerator }: MachineShape): string {
  return accelerator === "kvm" ? "KVM" : "emulation";
}
