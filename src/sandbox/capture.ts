import { constants } from "node:fs";
import { open, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { dataPath, type BuildParts } from "../build/make-build.ts";
import { type MachineShape, rootDiskBytes } from "../build/manifest.ts";
import type { ChildImage } from "../build/pack-layer.ts";
import { GuestMemory } from "../machine/guest-memory.ts";
import type { Machine } from "../machine/machine.ts";
import { saveMemory } from "../machine/save-memory.ts";
import { saveOverlay } from "../machine/save-overlay.ts";
import type { BuildLease, MemoryParts } from "./build-source.ts";
import type { CaptureOrder } from "./launcher.ts";
import { encodeMetafile, type Metafile } from "./metafile.ts";
import { overlayName } from "./places.ts";
import type { PauseTimes } from "./pause-times.ts";

export interface Captured {
  readonly machine: Machine;
  readonly lease: BuildLease;
  /** What the machine has mapped; undefined when its memory is a file of its own. */
  readonly memory: MemoryParts | undefined;
  readonly metafile: Metafile;
  readonly channelSecret: Buffer;
  readonly shape: MachineShape;
  readonly times: PauseTimes;
}

/** The device state's name in the machine's directory, and in that of the build. */
const snapfileName = "snapfile";
/** A device state has some ten thousand bytes. */
const snapfileBytesMax = 64 * 1024 * 1024;

/**
 * Copies what a machine has changed of the build it was made of into `directory`: its disk, and with `memory` its
 * pages and the state of its devices. It is stopped first, and stays so.
 */
export async function capture(
  captured: Captured,
  { directory, memory }: CaptureOrder,
  signal: AbortSignal,
): Promise<BuildParts> {
  const { machine, lease, metafile, channelSecret, shape, times } = captured;
  await times.measure("stop", () => machine.stop(signal));
  const inMemory = memory ? await captureMemory(captured, directory, signal) : undefined;
  const rootfs = await times.measure("clusters", () => captureDisk(captured, directory, signal));
  const secret = channelSecret.toString("hex");
  const { agentDisk, inputs } = lease.manifest;
  const common = {
    metafile: encodeMetafile({ ...metafile, channelSecret: secret }),
    inputs,
    ...(agentDisk === undefined ? {} : { agentDisk }),
  };
  if (inMemory === undefined) return { ...common, images: { rootfs } };
  const { memfile, snapfile } = inMemory;
  return { ...common, images: { rootfs, memfile }, snapfile, shape };
}

async function captureDisk(
  { machine, lease }: Captured,
  directory: string,
  signal: AbortSignal,
): Promise<ChildImage> {
  const index = lease.index("rootfs");
  const overlay = path.join(machine.spec.directory, overlayName);
  const target = dataPath(directory, "rootfs");
  const changes = await saveOverlay({ overlay, deviceBytes: rootDiskBytes(lease.manifest), target }, signal);
  return { path: target, changes, parent: { manifest: lease.manifest, index } };
}

async function captureMemory(
  { machine, memory, times }: Captured,
  directory: string,
  signal: AbortSignal,
): Promise<{ memfile: string | ChildImage; snapfile: string }> {
  const snapfile = path.join(directory, snapfileName);
  await times.measure("state", () => saveState(machine, snapfile, signal));
  const { spec, identity } = machine;
  const { memoryBytes } = spec;
  const target = dataPath(directory, "memfile");
  const layered = memory !== undefined;
  const saved = await times.measure("pages", async () => {
    await using mapped = await GuestMemory.open(identity.pid, spec.memfile);
    const lazy = spec.memfile.lazy !== undefined;
    return await saveMemory({ memory: mapped, memoryBytes, layered, lazy, target }, signal);
  });
  times.count(saved.dirtyBytes);
  if (saved.changes === undefined || memory === undefined) return { memfile: target, snapfile };
  return { memfile: { path: target, changes: saved.changes, parent: memory }, snapfile };
}

/** The VMM writes to its own directory; what is taken from there is bounded, and a plain file. */
async function saveState(machine: Machine, target: string, signal: AbortSignal): Promise<void> {
  await machine.saveDeviceState(snapfileName, signal);
  const written = path.join(machine.spec.directory, snapfileName);
  await using file = await open(written, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const status = await file.stat();
  if (!status.isFile() || status.size > snapfileBytesMax)
    throw new Failure("corrupt", "what the VMM saved as its device state is none");
  await writeFile(target, await file.readFile(), { mode: 0o600, flag: "wx" });
  await rm(written, { force: true });
}
