import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Bucket } from "../bucket/bucket.ts";
import type { MachineShape } from "../build/manifest.ts";
import { publishBuild } from "../build/publish-build.ts";
import type { TemplateRecords } from "../store/template-records.ts";
import type { BaseInputs } from "./base-inputs.ts";
import { baseRecipe } from "./base-recipe.ts";
import type { Base, BaseHost, Proof } from "./base-types.ts";
import type { FailedRestores } from "./failed-restores.ts";
import type { FirstBootOptions, Snapshot } from "./first-boot.ts";
import { type OnProgress, step, type Tell } from "./progress.ts";

export interface MakeOptions {
  readonly inputs: BaseInputs;
  readonly recipe: string;
  readonly failures: FailedRestores;
  readonly host: BaseHost;
  /** For everything on the way: emptied before, removed afterwards. */
  readonly directory: string;
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
    try {
      return await make(options, shape, isLast, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isLast || Failure.is(error, "exhausted")) throw error;
      await options.failures.add(options.recipe, shape);
      say(
        options,
        `${nameOf(shape)} does not run it here (${Failure.from(error).message}): trying the next way`,
      );
    }
  }
  throw new Failure("internal", "there is no machine to make base for");
}

async function make(
  options: MakeOptions,
  shape: MachineShape,
  mayBoot: boolean,
  signal: AbortSignal,
): Promise<Base> {
  const { host, machineId: id, uid, templates, recipe } = options;
  const directory = await mkdtemp(path.join(options.directory, "boot-"));
  const { accelerator, vcpus, memoryBytes } = shape;
  const { machines, tscKhz } = host;
  const machine = { ...options, id, uid, directory, accelerator, host: machines, tscKhz };
  const snapshot = await options.boot(machine, signal);
  const build = randomUUID();
  await publish(options, { build, snapshot, directory, shape }, signal);
  await rm(directory, { recursive: true });
  const coldBoot = !(await restores(options, { build, accelerator, vcpus, memoryBytes }, mayBoot, signal));
  const { name, diskBytes } = baseRecipe;
  const record = { id: build, diskBuild: build, recipe, shape, coldBoot, vcpus, memoryBytes, diskBytes };
  await templates.publish({ name, build: record });
  return { build, accelerator, coldBoot };
}

interface Made {
  readonly build: string;
  readonly snapshot: Snapshot;
  readonly directory: string;
  readonly shape: MachineShape;
}

async function publish(options: MakeOptions, made: Made, signal: AbortSignal): Promise<void> {
  const { inputs, bucket, clock, onProgress } = options;
  const { build, snapshot, directory, shape } = made;
  const { rootfs, memfile, snapfile, metafile } = snapshot;
  await step("publishing", clock, onProgress, async (tell) => {
    tell("agent disk, kernel");
    await publishBuild(
      {
        bucket,
        build,
        createdAt: new Date(clock.now()).toISOString(),
        artifacts: { rootfs, memfile, snapfile },
        metafile,
        shape,
        inputs: [
          { name: "agent-disk", path: inputs.agentDisk },
          { name: "kernel", path: inputs.kernel },
          { name: "initrd", path: inputs.initrd },
        ],
        scratch: directory,
        onProgress: tell,
      },
      signal,
    );
  });
}

/**
 * Proves a build by one restore. Where that fails and `mayBoot`, the build is proven by a boot instead, and the
 * answer is false.
 */
async function restores(
  { prove, clock, onProgress }: MakeOptions,
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

function say({ onProgress }: MakeOptions, detail: string): void {
  onProgress({ step: "template base", detail, seconds: 0, done: false });
}

function nameOf({ accelerator }: MachineShape): string {
  return accelerator === "kvm" ? "KVM" : "emulation";
}
