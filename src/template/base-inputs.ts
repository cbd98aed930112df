import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { together } from "../base/together.ts";
import { makeAgentDisk, staticBusybox } from "./agent-disk.ts";
import { type Downloads, provideKernel, provideQemu } from "./apt-download.ts";
import type { DebianSources } from "./debian-sources.ts";
import { initrd } from "./initrd.ts";
import { kernelFiles } from "./kernel-files.ts";
import { type OnProgress, step } from "./progress.ts";
import { provideRootDisk } from "./rootfs.ts";

/** Everything a first boot needs. The root disk belongs to the cache: copy it. */
export interface BaseInputs {
  readonly rootDisk: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly agentDisk: string;
}

export interface InputOptions {
  readonly downloads: Downloads;
  readonly sources: DebianSources;
  /** The guest's program, bundled. */
  readonly agent: Buffer;
  /** Where initrd and agent disk are made. */
  readonly directory: string;
  readonly clock: Clock;
  readonly onProgress: OnProgress;
}

/** Provides a QEMU too. The root disk takes longer than all the rest, so the rest is done meanwhile. */
export async function provideInputs(options: InputOptions, signal: AbortSignal): Promise<BaseInputs> {
  const [rootDisk, small] = await together<[string, Omit<BaseInputs, "rootDisk">]>(
    [(signal) => rootDiskStep(options, signal), (signal) => smallInputs(options, signal)],
    signal,
  );
  return { rootDisk, ...small };
}

/** A QEMU that `findQemu` finds. */
export async function qemuStep(
  { downloads, clock, onProgress }: Pick<InputOptions, "downloads" | "clock" | "onProgress">,
  signal: AbortSignal,
): Promise<void> {
  await step("QEMU", clock, onProgress, (tell) => provideQemu(downloads, tell, signal));
}

function rootDiskStep(
  { downloads, sources, clock, onProgress }: InputOptions,
  signal: AbortSignal,
): Promise<string> {
  const { cacheDirectory, refresh } = downloads;
  return step("root disk", clock, onProgress, (tell) =>
    provideRootDisk({ cacheDirectory, sources, refresh }, tell, signal),
  );
}

async function smallInputs(
  { downloads, agent, directory, clock, onProgress }: InputOptions,
  signal: AbortSignal,
): Promise<Omit<BaseInputs, "rootDisk">> {
  await qemuStep({ downloads, clock, onProgress }, signal);
  const kernel = await step("kernel", clock, onProgress, async (tell) => {
    const { root } = await provideKernel(downloads, tell, signal);
    return kernelFiles(root, signal);
  });
  const initrdFile = path.join(directory, "initrd");
  await writeFile(initrdFile, await initrd(kernel, await staticBusybox()));
  const agentDisk = path.join(directory, "agent-disk.ext4");
  await step("agent disk", clock, onProgress, async (tell) => {
    tell("Node and the agent");
    const scratch = path.join(directory, "agent-disk");
    await mkdir(scratch);
    await makeAgentDisk({ image: agentDisk, scratch, agent, node: process.execPath }, signal);
    await rm(scratch, { recursive: true });
  });
  return { kernel: kernel.image, initrd: initrdFile, agentDisk };
}
