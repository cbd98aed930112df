import { chmod, mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { AgentChannel, type ChannelOptions } from "../agent/channel.ts";
import { secretBytes } from "../agent/protocol/preamble.ts";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { MachineHost } from "../machine/confinement.ts";
import { Machine } from "../machine/machine.ts";
import { consoleName, type MachineSpec } from "../machine/machine-spec.ts";
import { endedEarly } from "../machine/vmm-process.ts";
import { encodeMetafile } from "../sandbox/metafile.ts";
import type { BaseInputs } from "./base-inputs.ts";
import { baseRecipe } from "./base-recipe.ts";
import { type OnProgress, step } from "./progress.ts";
import { rehearse } from "./rehearse.ts";
import { runCommand } from "./run-command.ts";
import { settle } from "./settle.ts";

export interface FirstBootOptions {
  readonly inputs: BaseInputs;
  /** Names the machine among all processes of the host. */
  readonly id: string;
  /** Empty; everything that is made goes into it. */
  readonly directory: string;
  /** Empty and short. */
  readonly socketDirectory: string;
  readonly accelerator: MachineSpec["accelerator"];
  readonly host: MachineHost;
  readonly tscKhz: number;
  /** The user that the machine runs as, where the daemon is root. */
  readonly uid: number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress: OnProgress;
}

/** A machine that was stopped: the parts of a build. */
export interface Snapshot {
  readonly rootfs: string;
  readonly memfile: string;
  readonly snapfile: string;
  readonly metafile: Buffer;
  /** What a machine reads first of the memory; undefined where that cannot be seen. */
  readonly firstpages?: string | undefined;
}

/** How long a guest may take to come up under emulation on a busy host, and to settle. */
const bootMsMax = 300_000;
const settleMsMax = 300_000;
const snapshotMsMax = 60_000;

/** Boots a machine once, lets it settle, and saves it. No process of it is left when this has settled. */
export async function firstBoot(options: FirstBootOptions, signal: AbortSignal): Promise<Snapshot> {
  const { clock, onProgress } = options;
  // The kernel's command line can be read by everybody in the guest, so what it says serves once.
  const secrets = {
    secret: options.random.bytes(secretBytes),
    nextSecret: options.random.bytes(secretBytes),
  };
  const reconnect = (again: Machine, signal: AbortSignal) =>
    reconnected(again, secrets.nextSecret, options, signal);
  const { spec, rootfs, kernelArguments } = await prepare(options, secrets.secret, signal);
  await using machine = await Machine.start(spec, { ...options.host, clock }, signal);
  {
    const connect = () => waitForAgent(machine, secrets, options, signal);
    await using channel = await step("first boot", clock, onProgress, (tell) => {
      tell(`${spec.vcpus} processor(s), ${spec.accelerator === "kvm" ? "KVM" : "emulation"}`);
      return connect();
    });
    await step("settling", clock, onProgress, async (tell) => {
      using patience = deadline(clock, settleMsMax, "settling", signal);
      const again = (signal: AbortSignal) => reconnect(machine, signal);
      await alive(machine, settle({ ...options, channel, reconnect: again, tell }, patience.signal));
    });
  }
  const snapfile = path.join(spec.directory, "snapfile");
  await step("snapshot", clock, onProgress, async (tell) => {
    tell("memory and device state");
    using patience = deadline(clock, snapshotMsMax, "the snapshot", signal);
    await machine.snapshot(path.basename(snapfile), patience.signal);
    await machine.quit(patience.signal);
  });
  const firstpages = await step("first pages", clock, onProgress, (tell) =>
    rehearse(options, { spec, rootfs, snapfile, reconnect, tell }, signal),
  );
  const { defaultUser: user, defaultWorkdir: workdir } = baseRecipe;
  const channelSecret = secrets.nextSecret.toString("hex");
  const metafile = encodeMetafile({ version: 1, user, workdir, envs: {}, channelSecret, kernelArguments });
  return { rootfs, memfile: spec.memfile.path, snapfile, metafile, firstpages };
}

/** Makes the machine's directories, its disk and its memory. */
async function prepare(options: FirstBootOptions, secret: Buffer, signal: AbortSignal) {
  const { inputs, directory, accelerator, uid } = options;
  const own = path.join(directory, "machine");
  await mkdir(own);
  // Its cage is entered by one who has given up all rights. On the host nobody comes near: what is above is closed.
  await chmod(own, 0o711);
  const rootfs = path.join(directory, "rootfs.ext4");
  await runCommand("cp", ["--sparse=always", "--reflink=auto", inputs.rootDisk, rootfs], {}, signal);
  const memfile = path.join(directory, "memfile");
  await writeFile(memfile, "", { mode: 0o600 });
  await truncate(memfile, baseRecipe.memoryBytes);
  // Translated code has to be translated again after each restore, so under emulation compiling does not pay.
  const kernelArguments = accelerator === "tcg" ? "larder.node=--jitless" : "";
  const spec: MachineSpec = {
    id: options.id,
    directory: own,
    socketDirectory: options.socketDirectory,
    vcpus: baseRecipe.vcpus[accelerator],
    memoryBytes: baseRecipe.memoryBytes,
    accelerator,
    memfile: { path: memfile, mode: "build" },
    rootDisk: { kind: "raw", path: rootfs },
    agentDisk: inputs.agentDisk,
    boot: {
      kernel: inputs.kernel,
      initrd: inputs.initrd,
      arguments: `larder.secret=${secret.toString("hex")} ${kernelArguments}`,
      ...(accelerator === "tcg" ? { tscKhz: options.tscKhz } : {}),
    },
    ...(uid === undefined ? {} : { uid }),
  };
  return { spec, rootfs, kernelArguments };
}

async function waitForAgent(
  machine: Machine,
  secrets: Pick<ChannelOptions, "secret" | "nextSecret">,
  { clock, random, logger }: FirstBootOptions,
  signal: AbortSignal,
): Promise<AgentChannel> {
  using patience = deadline(clock, bootMsMax, "the first boot", signal);
  const channel = { path: machine.channelPath, ...secrets, clock, random, logger };
  try {
    return await alive(machine, AgentChannel.connect(channel, patience.signal));
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = Failure.from(error);
    const screen = await lastLines(path.join(machine.spec.directory, consoleName));
    throw new Failure(code, `${message}; the guest's console ends with: ${screen}`, { cause: error });
  }
}

function reconnected(
  { channelPath: path }: Machine,
  secret: Buffer,
  { clock, random, logger }: FirstBootOptions,
  signal: AbortSignal,
): Promise<AgentChannel> {
  return AgentChannel.connect({ path, secret, nextSecret: secret, clock, random, logger }, signal);
}

/** Waits no longer than the machine lives. */
async function alive<T>(machine: Machine, work: Promise<T>): Promise<T> {
  work.catch(() => {}); // When the machine ends first, that is what counts.
  const end = machine.exited.then((exit) => Promise.reject(endedEarly(exit)));
  end.catch(() => {});
  return Promise.race([work, end]);
}

/** The end of a guest's console, on one line. It is the guest's own text, so nothing but printable characters. */
async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, "latin1").catch(() => "");
  return text
    .replaceAll(/[^\x20-\x7e\n]/g, "")
    .trim()
    .split("\n")
    .slice(-8)
    .join(" | ")
    .slice(-1500);
}
