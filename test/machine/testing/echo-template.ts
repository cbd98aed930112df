import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { abortable } from "../../../src/base/abortable.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { MemoryMeter } from "../../../src/base/testing/memory-meter.ts";
import { chooseAccelerator } from "../../../src/machine/accelerator.ts";
import { hostLibraries, kvmGroup } from "../../../src/machine/host-libraries.ts";
import { Machine } from "../../../src/machine/machine.ts";
import type { MachineSpec } from "../../../src/machine/machine-spec.ts";
import { createOverlay } from "../../../src/machine/overlay.ts";
import { findQemu } from "../../../src/machine/qemu-install.ts";
import { hostTscKhz } from "../../../src/machine/tsc-clock.ts";
import { NbdExport } from "../../../src/nbd/nbd-export.ts";
import { ArrayDevice } from "../../../src/nbd/testing/array-device.ts";
import { cacheDirectory, type EchoGuest, echoGuest } from "./echo-guest.ts";

const mebibyte = 2 ** 20;
const memoryBytes = 96 * mebibyte;
const diskBytes = 8 * mebibyte;
/** Nobody else on a test machine has such a number. */
const firstUid = 990_000_000;

export const isRoot = process.getuid?.() === 0;

/** How long any one step of a guest may take on a busy host without KVM. */
export const patience = () => AbortSignal.timeout(120_000);

/** A template of the smallest guest, made by one boot, and all that machines are restored from. */
export class EchoTemplate implements AsyncDisposable {
  readonly directory: string;
  readonly host: Parameters<typeof Machine.start>[1];
  readonly memfile: string;
  readonly snapfile: string;
  /** The template's disk, as it is exported. */
  readonly disk: ArrayDevice;
  /** What was read of that disk. */
  readonly meter = new MemoryMeter();
  readonly #accelerator: MachineSpec["accelerator"];
  readonly #guest: EchoGuest;
  readonly #nbdSocket: string;
  #export: NbdExport | undefined;
  #machines = 0;

  private constructor(
    directory: string,
    host: EchoTemplate["host"],
    accelerator: MachineSpec["accelerator"],
    guest: EchoGuest,
  ) {
    this.directory = directory;
    this.host = host;
    this.#accelerator = accelerator;
    this.#guest = guest;
    this.memfile = path.join(directory, "memfile");
    this.snapfile = path.join(directory, "snapfile");
    this.disk = ArrayDevice.striped(diskBytes);
    this.#nbdSocket = path.join(directory, "export", "nbd");
  }

  /** Everything is in one directory that is closed to everybody else, as a daemon's is. */
  static async prepare(): Promise<EchoTemplate> {
    const directory = await mkdtemp(path.join(tmpdir(), "echo-"));
    const kvmGid = await kvmGroup();
    const host = {
      qemu: await findQemu(cacheDirectory),
      libraries: await hostLibraries(),
      root: isRoot,
      clock: systemClock,
      ...(kvmGid === undefined ? {} : { kvmGid }),
    };
    // KVM where there is one: then these tests are what proves it.
    const { kind } = await chooseAccelerator(process.env["LARDER_ACCEL"]);
    return new EchoTemplate(directory, host, kind, await echoGuest(directory, patience()));
  }

  /** Opens the export that restored machines read their disks from. */
  async serve(): Promise<void> {
    await mkdir(path.dirname(this.#nbdSocket));
    const parts = { device: this.disk, logger: silentLogger, meter: this.meter };
    // The directory above is closed to everybody else.
    this.#export = await NbdExport.listen({ path: this.#nbdSocket, mode: 0o666, ...parts });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#export?.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** A specification of a machine that boots: its memory is that of the template. */
  async bootSpec(): Promise<MachineSpec> {
    await writeFile(this.memfile, "");
    await truncate(this.memfile, memoryBytes);
    const rootfs = path.join(this.directory, "rootfs");
    await writeFile(rootfs, this.disk.data);
    const clock = this.#accelerator === "tcg" ? { tscKhz: await hostTscKhz(this.directory) } : {};
    return {
      ...(await this.#common()),
      memfile: { path: this.memfile, mode: "build" },
      rootDisk: { kind: "raw", path: rootfs },
      boot: { kernel: this.#guest.kernel, initrd: this.#guest.initrd, ...clock },
    };
  }

  /** A specification of a machine that is restored over an overlay of its own. */
  async restoreSpec(): Promise<MachineSpec> {
    await chmod(this.memfile, 0o444);
    const common = await this.#common();
    await createOverlay(this.directory, path.join(common.directory, "overlay"), diskBytes);
    return {
      ...common,
      memfile: { path: this.memfile, mode: "restore" },
      rootDisk: { kind: "overlay", name: "overlay", nbdSocket: this.#nbdSocket },
      snapfile: this.snapfile,
    };
  }

  async #common() {
    const number = this.#machines++;
    const directory = path.join(this.directory, `machine-${number}`);
    const socketDirectory = path.join(this.directory, `sockets-${number}`);
    for (const each of [directory, socketDirectory]) await mkdir(each, { mode: 0o700 });
    return {
      id: `${path.basename(this.directory)}-${number}`,
      directory,
      socketDirectory,
      vcpus: 1,
      memoryBytes,
      accelerator: this.#accelerator,
      agentDisk: this.#guest.agentDisk,
      uid: firstUid + number,
    };
  }
}

/** A connection to the guest's shell. */
export class GuestShell implements Disposable {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(machine: Machine) {
    this.#socket = connect(machine.channelPath);
    const lines = createInterface(this.#socket);
    lines.on("error", () => {}); // told by the end of the lines
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** What the guest answers to a command: how many it has had, and what this one printed. */
  async ask(command: string): Promise<string> {
    this.#socket.write(`${command}\n`);
    const { value } = await abortable(this.#lines.next(), patience());
    return String(value);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
