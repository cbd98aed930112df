import { rm } from "node:fs/promises";
import path from "node:path";
import { bundleGuest } from "../agent/bundle-guest.ts";
import { Failure } from "../base/failure.ts";
import { machineShape, sameShape } from "../machine/machine-shape.ts";
import type { TemplateRecords } from "../store/template-records.ts";
import { aptOnce } from "./apt-download.ts";
import { provideInputs, qemuStep } from "./base-inputs.ts";
import { type BaseCandidate, planBase } from "./base-plan.ts";
import { baseRecipe, recipeDigest } from "./base-recipe.ts";
import type { Base, BaseHost } from "./base-types.ts";
import { removeLeftovers } from "./cache-leftovers.ts";
import { lockCache } from "./cache-lock.ts";
import { type DebianChoice, debianSources } from "./debian-sources.ts";
import { FailedRestores } from "./failed-restores.ts";
import { firstBoot } from "./first-boot.ts";
import { readHostSystem } from "./host-system.ts";
import { discard, finishTemplate, type MakeOptions, makeFirstThatRuns } from "./make-base.ts";
import { type MadeTemplate, madeTemplates } from "./made-template.ts";
import { workplace } from "./workplace.ts";

export interface BuildBaseOptions
  extends Omit<MakeOptions, "host" | "recipe" | "failures" | "inputs" | "machineId" | "boot"> {
  /** `LARDER_CACHE`: downloads and the root disk, perhaps shared with others. */
  readonly cacheDirectory: string;
  readonly debian: DebianChoice;
  /** `anew`: although there is one that is as it should be. */
  readonly when: "if needed" | "anew";
  /** Takes Debian's newest packages although there are some in the cache. */
  readonly freshPackages?: boolean;
  /** Called when there should be a QEMU; throws `not_found` when there is none yet. */
  readonly host: () => Promise<BaseHost>;
  /** False when KVM was demanded: then emulation is no way out. */
  readonly mayEmulate: boolean;
  readonly templates: Pick<TemplateRecords, "find" | "publish">;
}

/**
 * Sees to it that there is a template `base` for this machine: makes it when there is none, or when its recipe or the
 * machine's shape has changed. Each step is told. What broke off is taken up again where the cache of downloads is.
 */
export async function buildBase(options: BuildBaseOptions, signal: AbortSignal): Promise<Base> {
  const { cacheDirectory, clock, onProgress, debian, when } = options;
  const sources = debianSources(await readHostSystem(), debian);
  const agent = await bundleGuest();
  const facts: Facts = {
    recipe: await recipeDigest(sources.suite, agent),
    failures: new FailedRestores(path.join(path.dirname(options.directory), "failed-restores.json")),
  };
  if (when === "if needed") {
    const kept = await whatThereIs(options, facts);
    if (kept !== undefined) {
      await withoutNamed(options, await madeTemplates(options.madeDirectory));
      return kept;
    }
  }
  const taken = await takeUp(options, facts, signal);
  if (taken !== undefined) return taken;
  const onWait = (detail: string) => onProgress({ step: "waiting", detail, seconds: 0, done: false });
  using _lock = await lockCache(cacheDirectory, clock, onWait, signal);
  await removeLeftovers(cacheDirectory, signal);
  const apt = aptOnce(cacheDirectory, () => Promise.resolve(sources), signal);
  const downloads = { cacheDirectory, apt, refresh: options.freshPackages === true };
  if (when === "if needed" && (await isOfRecipe(options, facts.recipe))) {
    // All that may be missing is the QEMU by which to tell whether it is for this machine.
    await qemuStep({ downloads, clock, onProgress }, signal);
    const kept = await whatThereIs(options, facts);
    if (kept !== undefined) return kept;
  }
  await using place = await workplace(options, signal);
  const { directory } = place;
  const inputs = await provideInputs({ downloads, sources, agent, directory, clock, onProgress }, signal);
  const host = await options.host();
  const candidates = await candidatesOf(host, options.mayEmulate, facts);
  const wanted = candidates.filter(({ failed }) => !failed || when === "anew");
  const shapes = (wanted.length > 0 ? wanted : candidates.slice(-1)).map(({ shape }) => shape);
  return await makeFirstThatRuns(
    { ...options, ...facts, ...place, inputs, host, boot: firstBoot },
    shapes,
    signal,
  );
}

interface Facts {
  readonly recipe: string;
  readonly failures: FailedRestores;
}

/** Goes on with a template that was made and not published, or not proven, before this ended the last time (C27). */
async function takeUp(
  options: BuildBaseOptions,
  facts: Facts,
  signal: AbortSignal,
): Promise<Base | undefined> {
  const { bucket, madeDirectory, onProgress } = options;
  const left = await withoutNamed(options, await madeTemplates(madeDirectory));
  const host = left.length === 0 ? undefined : await hostOf(options);
  if (host === undefined) return undefined;
  const candidates = (await candidatesOf(host, options.mayEmulate, facts)).filter(({ failed }) => !failed);
  for (const made of left) {
    const at = candidates.findIndex(({ shape }) => sameShape(made.shape, shape).same);
    if (made.recipe !== facts.recipe || at < 0) await discard(bucket, made, signal);
    else {
      const detail = "was made before: going on with its publishing";
      onProgress({ step: "template base", detail, seconds: 0, done: false });
      const isLast = at === candidates.length - 1;
      const base = await finishTemplate({ ...options, ...facts }, made, isLast, signal);
      if (base !== undefined) return base;
    }
  }
  return undefined;
}

/** Those that the name leads to already are done: only their directories were left. */
async function withoutNamed({ templates }: BuildBaseOptions, made: MadeTemplate[]): Promise<MadeTemplate[]> {
  const named = (await templates.find(baseRecipe.name))?.builds ?? [];
  const isNamed = ({ manifest }: MadeTemplate) => named.some(({ id }) => id === manifest.build);
  for (const { directory } of made.filter(isNamed)) await rm(directory, { recursive: true, force: true });
  return made.filter((each) => !isNamed(each));
}

/** Undefined when there is no QEMU yet. */
async function hostOf(options: BuildBaseOptions): Promise<BaseHost | undefined> {
  return await options.host().catch((error: unknown) => {
    if (Failure.is(error, "not_found")) return undefined;
    throw error;
  });
}

/** The template as it is, if it is what this machine needs. */
async function whatThereIs(options: BuildBaseOptions, facts: Facts): Promise<Base | undefined> {
  const host = await hostOf(options);
  if (host === undefined) return undefined;
  const candidates = await candidatesOf(host, options.mayEmulate, facts);
  const builds = (await options.templates.find(baseRecipe.name))?.builds ?? [];
  const plan = planBase({ recipe: facts.recipe, candidates, builds });
  if (plan.kind === "make") {
    const detail = `is to be made: ${plan.because}`;
    options.onProgress({ step: "template base", detail, seconds: 0, done: false });
    return undefined;
  }
  const { id: build, shape, coldBoot } = plan.build;
  return { build, accelerator: shape?.accelerator ?? host.accelerator.kind, coldBoot };
}

async function isOfRecipe({ templates }: BuildBaseOptions, recipe: string): Promise<boolean> {
  const found = await templates.find(baseRecipe.name);
  return found?.builds.some((build) => build.recipe === recipe) === true;
}

/**
 * What `base` can be made for on this host, the preferred first: KVM if there is, then emulation if that is
 * allowed.
 */
async function candidatesOf(host: BaseHost, mayEmulate: boolean, facts: Facts): Promise<BaseCandidate[]> {
  const { accelerator, machines, tscKhz } = host;
  const { memoryBytes, vcpus } = baseRecipe;
  const kinds = accelerator.kind === "kvm" && mayEmulate ? (["kvm", "tcg"] as const) : [accelerator.kind];
  const shapes = kinds.map((kind) =>
    machineShape(machines.qemu, { accelerator: kind, vcpus: vcpus[kind], memoryBytes }, tscKhz),
  );
  return Promise.all(
    shapes.map(async (shape) => ({ shape, failed: await facts.failures.has(facts.recipe, shape) })),
  );
}
