import { readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { Random } from "../base/random.ts";
import { together } from "../base/together.ts";
import { secretBytes } from "../agent/protocol/preamble.ts";
import { rootDiskBytes } from "../build/manifest.ts";
import type { MachineSpec } from "../machine/machine-spec.ts";
import { createOverlay } from "../machine/overlay.ts";
import type { DiskExports } from "../nbd/disk-exports.ts";
import type { NetworkLink } from "../network/network.ts";
import type { BuildLease, MemoryParts } from "./build-source.ts";
import type { StartOrder } from "./launcher.ts";
import type { LentMemory } from "./lent-memory.ts";
import { type MapOptions, memoryToMap, type ToMap } from "./map-memory.ts";
import { type Metafile, parseMetafile } from "./metafile.ts";
import { exportSocket, giveSocket, machineSockets, memoryName, overlayName } from "./places.ts";
import type { StepTimes } from "./step-times.ts";
import { WatchedDevice } from "./watched-device.ts";

export interface PartsOptions {
  readonly lease: BuildLease;
  readonly exports: DiskExports;
  readonly accelerator: MachineSpec["accelerator"];
  /** Of the host; needed to boot under emulation. */
  readonly tscKhz: number;
  /** Where empty overlays are kept to be copied. */
  readonly overlayDirectory: string;
  /** The files by which the machine joins its control groups. */
  readonly processFiles?: readonly string[];
  /** What leads to the internet; undefined leaves the guest without. */
  readonly network?: NetworkLink | undefined;
  /** Serves memories page by page; missing: each is fetched whole. */
  readonly memories?: MapOptions["memories"];
  readonly steps: StepTimes;
  readonly random: Random;
  /** Gets what has to be given back. */
  readonly held: AsyncDisposableStack;
}

/** All that a machine is started from. */
export interface MachineParts {
  readonly spec: MachineSpec;
  readonly metafile: Metafile;
  readonly disk: WatchedDevice;
  /** Of a build with memory: what is mapped, and what is to be written into it before the machine runs. */
  readonly memory: MemoryParts | undefined;
  /** What brings the pages of a memory that is not whole yet. */
  readonly lent: LentMemory | undefined;
  /** What the agent accepts first: it was snapshotted with it, or is told it as it boots. */
  readonly firstSecret: Buffer;
}

/** Fetches, exports and makes, all at once, what a machine is started from. Its directories are there. */
export async function machineParts(
  order: StartOrder,
  options: PartsOptions,
  signal: AbortSignal,
): Promise<MachineParts> {
  const { lease, accelerator, network, steps } = options;
  const [disk, , agentDisk, metafile, memory] = await together(
    [
      (signal) => exportDisk(order, options, signal),
      // What a machine that runs has written is in its overlay.
      async () => {
        if (order.left === undefined) await steps.measure("overlay", () => makeOverlay(order, options));
      },
      async (signal) => lease.manifest.agentDisk ?? (await lease.input("agent-disk", signal)),
      (signal) => steps.measure("files", () => readMetafile(order.build, lease, signal)),
      (signal) =>
        order.how === "restore" ? restoredMemory(order, options, signal) : bootedMemory(order, lease, signal),
    ],
    signal,
  );
  const { id, directory, vcpus, memoryBytes, uid } = order;
  const firstSecret =
    memory.kernel === undefined
      ? Buffer.from(metafile.channelSecret, "hex")
      : options.random.bytes(secretBytes);
  const boot =
    memory.kernel === undefined
      ? undefined
      : {
          kernel: memory.kernel,
          initrd: memory.initrd,
          // The first word of a name counts: the template's own may be among the others.
          arguments: `larder.secret=${firstSecret.toString("hex")} ${metafile.kernelArguments}`,
          ...(accelerator === "tcg" ? { tscKhz: options.tscKhz } : {}),
        };
  const spec: MachineSpec = {
    id,
    directory,
    socketDirectory: machineSockets(order),
    vcpus,
    memoryBytes,
    accelerator,
    memfile: memory.memfile,
    rootDisk: { kind: "overlay", name: overlayName, nbdSocket: exportSocket(order) },
    agentDisk,
    ...(boot === undefined ? {} : { boot }),
    ...(memory.snapfile === undefined ? {} : { snapfile: memory.snapfile }),
    ...(uid === undefined ? {} : { uid }),
    ...(network === undefined ? {} : { network }),
    processFiles: options.processFiles ?? [],
  };
  return { spec, metafile, disk, memory: memory.parts, lent: memory.lent, firstSecret };
}

async function exportDisk(
  order: StartOrder,
  { lease, exports, steps, held }: PartsOptions,
  signal: AbortSignal,
): Promise<WatchedDevice> {
  await steps.measure("rootfs", () => lease.open("rootfs", signal));
  const device = lease.image("rootfs");
  const disk = new WatchedDevice(device);
  const { image } = held.use(device.lend(exports));
  const socket = exportSocket(order);
  await steps.measure("export", async () => {
    const nbdExport = await exports.listen({ path: socket, device: disk, image, mode: 0o600 });
    held.defer(() => {
      // Its only client is gone by then: what is still being read for it is of no use to anybody.
      nbdExport.destroy(new Failure("cancelled", "the machine has ended"));
      return nbdExport.close();
    });
    await giveSocket(socket, order.uid);
  });
  return disk;
}

async function makeOverlay(order: StartOrder, { lease, overlayDirectory }: PartsOptions): Promise<void> {
  const overlay = path.join(order.directory, overlayName);
  await createOverlay(overlayDirectory, overlay, rootDiskBytes(lease.manifest));
}

async function readMetafile(build: string, lease: BuildLease, signal: AbortSignal): Promise<Metafile> {
  return parseMetafile(await readFile(await lease.file("metafile", signal)), build);
}

async function restoredMemory(order: StartOrder, options: PartsOptions, signal: AbortSignal) {
  const { lease, steps } = options;
  const [toMap, snapfile] = await together<[ToMap, string]>(
    [
      (signal) => steps.measure("memfile", () => memoryToMap(order, options, signal)),
      (signal) => lease.file("snapfile", signal),
    ],
    signal,
  );
  return { ...toMap, snapfile, kernel: undefined } as const;
}

/** A machine that boots gets memory of its own: a sparse file, gone with the sandbox. */
async function bootedMemory(order: StartOrder, lease: BuildLease, signal: AbortSignal) {
  const memory = path.join(order.directory, memoryName);
  const [kernel, initrd] = await together<[string, string]>(
    [(signal) => lease.input("kernel", signal), (signal) => lease.input("initrd", signal)],
    signal,
  );
  if (order.left === undefined) {
    await writeFile(memory, "", { mode: 0o600 });
    await truncate(memory, order.memoryBytes);
  }
  const memfile = { path: memory, mode: "build" } as const;
  return { memfile, parts: undefined, lent: undefined, kernel, initrd, snapfile: undefined } as const;
}
