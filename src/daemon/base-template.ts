import { deadline } from "../base/deadline.ts";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { randomId } from "../base/random-id.ts";
import { chooseBuild } from "../sandbox/choose-build.ts";
import type { BuildRecord } from "../store/template-records.ts";
import type { Proof } from "../template/base-types.ts";
import { buildBase, type BuildBaseOptions } from "../template/build-base.ts";
import type { OnProgress } from "../template/progress.ts";
import { findHost, type Host, shapeOf } from "./host.ts";
import { proveGuest } from "./prove-guest.ts";
import { type Builds, type Ground, usersFor, wireLauncher } from "./wiring.ts";

export interface BaseWish {
  readonly when: BuildBaseOptions["when"];
  readonly onProgress: OnProgress;
}

/** Sees to it that there is a template `base` that runs here; returns the host as it runs it. */
export async function provideBase(
  ground: Ground,
  builds: Builds,
  { when, onProgress }: BaseWish,
  signal: AbortSignal,
): Promise<Host> {
  const { configuration, premises, clock, random, logger } = ground;
  const { data, cache, debianMirror, debianSuite, accel } = configuration;
  let found: Host | undefined;
  const host = async () => (found ??= await findHost(configuration));
  using uid = process.getuid?.() === 0 ? usersFor(data, "templates").take() : undefined;
  const base = await buildBase(
    {
      ...{ when, host, onProgress, clock, random, logger, cacheDirectory: cache, uid: uid?.uid },
      ...{ bucket: builds.bucket, templates: builds.store.templates, mayEmulate: accel !== "kvm" },
      debian: { mirror: debianMirror, suite: debianSuite },
      directory: path.join(data, "template", "base"),
      madeDirectory: path.join(data, "template", "made"),
      socketDirectory: path.join(premises.runDirectory, "template"),
      prove: async (proof, signal) =>
        prove(ground, builds, runAs(await host(), proof.accelerator), proof, signal),
    },
    signal,
  );
  return runAs(await host(), base.accelerator);
}

/** The host as `serve` finds it: with the template that is there, and as that template wants to be run. */
export async function needBase({ configuration }: Ground, { store }: Builds): Promise<Host> {
  const base = await store.templates.find("base");
  if (base === undefined) {
    const remedy = "'larder up' or 'larder template build base' makes one";
    throw new Failure("not_found", `there is no template yet: ${remedy}`);
  }
  return hostFor(base.builds, await findHost(configuration), configuration.accel !== "kvm");
}

/** The host as it runs `builds`: with emulation, where KVM is there but only memory made under emulation is. */
export function hostFor(builds: readonly BuildRecord[], host: Host, mayEmulate: boolean): Host {
  const restores = (kind: Host["accelerator"]["kind"]) =>
    chooseBuild(builds, shapeOf(runAs(host, kind))).how === "restore";
  const emulated = mayEmulate && !restores(host.accelerator.kind) && restores("tcg");
  return emulated ? runAs(host, "tcg") : host;
}

/** A host whose KVM does not restore its own snapshots runs them with emulation. */
function runAs(host: Host, kind: Host["accelerator"]["kind"]): Host {
  if (kind === host.accelerator.kind) return host;
  return {
    ...host,
    accelerator: { kind, reason: "emulation, since no template that KVM restores could be made here" },
  };
}

/** A guest that does not answer for so long does not run, however busy the host is. */
const proofMsMax = 180_000;

/**
 * Starts one sandbox of the build, outside of the book-keeping, and ends it. If this process is killed meanwhile, the
 * next start finds what is left by the names of the directories.
 */
async function prove(
  ground: Ground,
  builds: Builds,
  host: Host,
  proof: Proof,
  signal: AbortSignal,
): Promise<void> {
  const { configuration, premises, random } = ground;
  const { build, how, vcpus, memoryBytes } = proof;
  builds.cache.announcePublished(build);
  using uid = host.machines.root ? usersFor(configuration.data, "templates").take() : undefined;
  const id = `i${randomId(random, 20)}`;
  const order = {
    ...{ id, build, how, vcpus, memoryBytes },
    ...{ templateId: "", envs: {}, accessToken: undefined, allowInternet: false },
    ...{ uid: uid?.uid, onProcess: () => {} },
    directory: path.join(configuration.data, "sandboxes", id),
    socketDirectory: path.join(premises.runDirectory, id),
  };
  using patience = deadline(ground.clock, proofMsMax, "the proof of a template", signal);
  await using guest = await wireLauncher(ground, builds, host, {}).launch(order, patience.signal);
  await proveGuest(guest.channel, patience.signal);
}
