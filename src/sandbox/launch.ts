import { AgentClient } from "../agent/agent-client.ts";
import { LastingChannel } from "../agent/lasting-channel.ts";
import { secretBytes } from "../agent/protocol/preamble.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { Failure } from "../base/failure.ts";
import { silentTracer, type Tracer } from "../base/tracer.ts";
import { together } from "../base/together.ts";
import type { DiskExports } from "../nbd/disk-exports.ts";
import type { MachineGroup } from "../machine/control-groups.ts";
import type { MachineHost } from "../machine/confinement.ts";
import { Machine } from "../machine/machine.ts";
import { machineShape } from "../machine/machine-shape.ts";
import type { MachineSpec } from "../machine/machine-spec.ts";
import { isAlive } from "../base/processes.ts";
import type { LentNetwork, Networks } from "../network/networks.ts";
import { endedEarly } from "../machine/vmm-process.ts";
import { type AgentTools, doze, type Dozing, type Sleeping, takeOver, wake, wakeFromDoze } from "./awaken.ts";
import type { BuildLease, BuildSource } from "./build-source.ts";
import { capture } from "./capture.ts";
import { DiskTrouble } from "./disk-trouble.ts";
import { internetWay, networkFor, noteNetwork } from "./guest-network.ts";
import { type Bounds, groupFor, join } from "./guest-bounds.ts";
import type { Guest, LaunchOrder, StartedMachine, StartOrder } from "./launcher.ts";
import { type MachineParts, machineParts } from "./machine-parts.ts";
import type { MapOptions } from "./map-memory.ts";
import { makePlaces, removePlaces } from "./places.ts";
import { PauseTimes } from "./pause-times.ts";
import { StepTimes } from "./step-times.ts";

export interface LaunchOptions {
  readonly builds: BuildSource;
  /** Offers the disks. */
  readonly exports: DiskExports;
  readonly host: MachineHost;
  readonly accelerator: MachineSpec["accelerator"];
  /** Of the host; needed to boot under emulation. */
  readonly tscKhz: number;
  /** Where empty overlays are kept to be copied. */
  readonly overlayDirectory: string;
  /** What bounds machines; missing: nothing does. */
  readonly bounds?: Bounds;
  /** Missing where this host can have none. */
  readonly networks?: Pick<Networks, "take" | "retake">;
  /** Serves memories page by page; missing: each is fetched whole before its first machine starts. */
  readonly memories?: MapOptions["memories"];
  /** How long a guest may wait for its disk before it is ended. */
  readonly stalledMsMax: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly tracer?: Tracer;
}

/** How long reads of its disk may keep a machine from stopping when it is told to. */
const stopMsMax = 1000;

/**
 * Lease → export and overlay → machine → device state → channel → clock, randomness, name, token, environment: then
 * the guest may be let in to. What was taken is held, and ends in reverse: at a failure, or when the guest is
 * disposed of.
 */
export async function launch(
  order: LaunchOrder,
  options: LaunchOptions,
  signal: AbortSignal,
): Promise<Guest> {
  const started = await start(order, options, signal);
  return await started.wake(order, signal);
}

/** The first half of it: a machine that waits for its device state, or boots already. */
export async function start(
  order: StartOrder,
  options: LaunchOptions,
  signal: AbortSignal,
): Promise<StartedMachine> {
  const held = new AsyncDisposableStack();
  const started = await orNothing(order, held, options, () => startHeld(order, options, held, signal));
  let dozing: Dozing | undefined;
  return {
    exited: started.machine.exited,
    doze: async (signal) => {
      if (started.parts.lent !== undefined) return;
      const sleeping = { ...started, channelSecret: options.random.bytes(secretBytes) };
      dozing = await orNothing(order, held, options, () => doze(sleeping, options, signal));
    },
    wake: (whole, signal) =>
      orNothing(order, held, options, () => wakeHeld(whole, { ...started, dozing }, options, signal)),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Does it, or ends all that is held. */
async function orNothing<T>(
  { id }: StartOrder,
  held: AsyncDisposableStack,
  { logger }: LaunchOptions,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await held.disposeAsync().catch((second: unknown) => {
      logger.warn({ sandbox: id, error: second }, "a launch that failed did not end in order");
    });
    throw error;
  }
}

async function startHeld(
  order: StartOrder,
  options: LaunchOptions,
  held: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Started> {
  const steps = new StepTimes(options.clock, options.meter, options.tracer);
  const ending: Ending = { leave: false };
  const { lease, network, processFiles } = await claim(order, options, { steps, ending, held }, signal);
  const given = { network: network?.link, processFiles, lease, steps, held };
  const parts = await machineParts(order, { ...options, ...given }, signal);
  const { lent } = parts;
  parts.disk.belongTo((options.tracer ?? silentTracer).here());
  parts.disk.onMiss((offset, bytes) => lent?.onDiskRead(offset, bytes));
  const machine = await steps.measure("machine", () => machineOf(order, parts.spec, options, signal));
  held.defer(() => (ending.leave ? machine.leave() : machine.destroy()));
  lent?.mappedBy(machine.identity);
  return { machine, lease, network, parts, ending, steps, held };
}

async function wakeHeld(
  order: LaunchOrder,
  started: Started & { readonly dozing: Dozing | undefined },
  options: LaunchOptions,
  signal: AbortSignal,
): Promise<Guest> {
  const { machine, lease, network, parts, ending, steps, held, dozing } = started;
  const { lent } = parts;
  const { clock, meter, random } = options;
  const endFirstReads = beginReads(parts, options);
  if (order.left === undefined) order.onProcess(machine.identity);
  const trouble = held.use(new DiskTrouble(machine, parts.disk, { ...options, sandbox: order.id }));
  if (order.left !== undefined) {
    trouble.tolerate();
    lent?.tolerate();
  }
  const channelSecret = (order.left ?? dozing)?.channelSecret ?? random.bytes(secretBytes);
  const awake = AbortSignal.any([signal, trouble.stopped, ...(lent ? [lent.failed] : [])]);
  const sleeping = { machine, lease, parts, channelSecret, steps, held };
  const channel = await begin(order, { ...sleeping, dozing }, options, awake).catch(
    async (error: unknown) => {
      // Whatever broke first, a machine that is no more is the reason.
      if (signal.aborted || isAlive(machine.identity)) throw error;
      throw endedEarly(await machine.exited);
    },
  );
  trouble.tolerate();
  lent?.tolerate();
  endFirstReads();
  network?.attached();
  meter.count(counterOf(order));
  const shape = machineShape(options.host.qemu, parts.spec, options.tscKhz);
  const times = new PauseTimes(clock, meter);
  const captured = { machine, lease, ...parts, channelSecret, shape, times };
  return {
    channel,
    channelSecret,
    capture: async (what, signal) => {
      if (!what.memory) await times.measure("flush", () => flush(channel, order, signal));
      trouble.hold();
      using _hurried = parts.disk.hurry(clock, stopMsMax);
      return await capture(captured, what, signal);
    },
    goOn: async (signal) => {
      trouble.letGo();
      await machine.resume(signal);
    },
    internet: internetWay(machine, order),
    isAlive: () => isAlive(machine.identity),
    isStalled: () => trouble.isStalled || lent?.isStalled === true,
    leave: () => {
      ending.leave = true;
      void lent?.leave();
      return held.disposeAsync();
    },
    lost: Promise.race([lossOf(machine, channel), trouble.hopeless]),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/**
 * Until its guest is up, what a machine reads is a part of its create; later on that would come to no end. Returns
 * what is to be called then.
 */
function beginReads({ disk, lent }: MachineParts, { tracer = silentTracer }: LaunchOptions): () => void {
  const start = tracer.here();
  disk.belongTo(start);
  lent?.begin(start);
  return () => disk.belongTo(tracer.apart);
}

/** Lets in to the guest, by whichever way is the shortest. */
function begin(
  order: LaunchOrder,
  { dozing, ...sleeping }: Sleeping & { readonly dozing: Dozing | undefined },
  tools: AgentTools,
  signal: AbortSignal,
): Promise<LastingChannel> {
  if (dozing !== undefined) return wakeFromDoze(order, { ...sleeping, ...dozing }, tools, signal);
  return order.left === undefined ? wake(order, sleeping, tools, signal) : takeOver(sleeping, tools, signal);
}

/** Takes what lies outside of the machine: its build, its network, its directories. */
async function claim(
  order: StartOrder,
  { builds, networks, bounds }: LaunchOptions,
  { steps, ending, held }: Claiming,
  signal: AbortSignal,
) {
  held.defer(() => (ending.leave ? undefined : removePlaces(order)));
  let group: MachineGroup | undefined;
  // Deferred before the network: its uplink is in the group, which is empty only when that has ended.
  held.defer(() => (ending.leave ? undefined : group?.[Symbol.asyncDispose]()));
  const acquire = (signal: AbortSignal) => builds.acquire(order.build, `sandbox ${order.id}`, signal);
  const connect = async (signal: AbortSignal) => {
    const network = await networkFor(order, networks, signal);
    // The next daemon finds it by its name.
    held.defer(() => (ending.leave ? undefined : network?.[Symbol.asyncDispose]()));
    return network;
  };
  const [lease, network] = await together<[BuildLease, LentNetwork | undefined, void, void]>(
    [
      async (signal) => held.use(await steps.measure("lease", () => acquire(signal))),
      (signal) => steps.measure("network", () => connect(signal)),
      async () => void (group = await steps.measure("bounds", () => groupFor(order, bounds))),
      async () => {
        if (order.left === undefined) await steps.measure("directories", () => makePlaces(order));
      },
    ],
    signal,
  );
  if (network !== undefined && order.left === undefined) await noteNetwork(order, network.name);
  if (group !== undefined) for (const pid of network?.processes ?? []) await join(pid, group);
  return { lease, network, processFiles: group?.processFiles ?? [] };
}

interface Claiming {
  readonly steps: StepTimes;
  readonly ending: Ending;
  readonly held: AsyncDisposableStack;
}

/** A machine, and all that it holds. */
interface Started extends Omit<Sleeping, "channelSecret"> {
  readonly network: LentNetwork | undefined;
  readonly ending: Ending;
}

/** How it ends when it is disposed of: whole, or so that its machine runs on. */
interface Ending {
  leave: boolean;
}

function machineOf(
  { left }: StartOrder,
  spec: MachineSpec,
  { host, clock }: LaunchOptions,
  signal: AbortSignal,
): Promise<Machine> {
  if (left !== undefined) return Machine.adopt(spec, left.process, clock, signal);
  return Machine.start(spec, { ...host, clock }, signal);
}

function counterOf({ left, how }: LaunchOrder): string {
  if (left !== undefined) return "larder_adoptions_total";
  return how === "restore" ? "larder_restores_total" : "larder_boots_total";
}

/** Has the guest write out what it has not yet: its disk alone will be what is left of it. */
async function flush(
  channel: LastingChannel,
  { accessToken }: LaunchOrder,
  signal: AbortSignal,
): Promise<void> {
  const agent = new AgentClient(channel, accessToken);
  const { exitCode, stderr } = await agent.run("sync", { user: "root" }, signal);
  if (exitCode !== 0) throw new Failure("unavailable", `the guest could not write out its disk: ${stderr}`);
}

/** Resolves, with a sentence, when the machine is no more or nobody offers its port. */
async function lossOf(machine: Machine, channel: LastingChannel): Promise<string> {
  await Promise.race([machine.exited, channel.closed]);
  if (isAlive(machine.identity)) return "nobody offers its port any more";
  return endedEarly(await machine.exited).message;
}
