import { randomUUID } from "node:crypto";
import { AgentClient } from "../agent/agent-client.ts";
import type { ChannelOptions } from "../agent/channel.ts";
import { LastingChannel } from "../agent/lasting-channel.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Machine } from "../machine/machine.ts";
import { PhysicalMemory } from "../machine/physical-memory.ts";
import type { BuildLease } from "./build-source.ts";
import type { LaunchOrder } from "./launcher.ts";
import type { MachineParts } from "./machine-parts.ts";
import type { Metafile } from "./metafile.ts";
import type { StepTimes } from "./step-times.ts";
import { writeMemory } from "./write-memory.ts";

/** Bytes from the host that make each restore's random numbers its own. */
const entropyBytes = 64;

/** A machine whose agent has not been spoken to. */
export interface Sleeping {
  readonly machine: Machine;
  readonly lease: BuildLease;
  readonly parts: MachineParts;
  readonly channelSecret: Buffer;
  readonly steps: StepTimes;
  readonly held: AsyncDisposableStack;
}

export interface AgentTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Lets the guest run, finds the start of its agent's session, and makes clock, randomness and identity its own. */
export async function wake(
  order: LaunchOrder,
  sleeping: Sleeping,
  tools: AgentTools,
  signal: AbortSignal,
): Promise<LastingChannel> {
  const channel = await rouse(sleeping, tools, signal);
  await introduce(order, sleeping, { ...tools, channel }, signal);
  return channel;
}

/** A guest that has run until its agent answered, and was stopped then: it is nobody's yet. */
export interface Dozing {
  readonly channel: LastingChannel;
  readonly channelSecret: Buffer;
}

/** Lets the guest run until its agent answers, and stops it. Nobody is let in before `wakeFromDoze`. */
export async function doze(sleeping: Sleeping, tools: AgentTools, signal: AbortSignal): Promise<Dozing> {
  const channel = await rouse(sleeping, tools, signal);
  // What a request takes is in memory from here on, translated where machines are emulated.
  await new AgentClient(channel).health(signal);
  await sleeping.machine.stop(signal);
  return { channel, channelSecret: sleeping.channelSecret };
}

/** Lets it run again, and makes clock, randomness and identity its own. */
export async function wakeFromDoze(
  order: LaunchOrder,
  { channel, ...sleeping }: Sleeping & Dozing,
  tools: AgentTools,
  signal: AbortSignal,
): Promise<LastingChannel> {
  await sleeping.steps.measure("restore", () => sleeping.machine.resume(signal));
  await introduce(order, sleeping, { ...tools, channel }, signal);
  return channel;
}

/** Lets the guest run, and finds the start of its agent's session. */
async function rouse(
  { machine, lease, parts, channelSecret, steps, held }: Sleeping,
  tools: AgentTools,
  signal: AbortSignal,
): Promise<LastingChannel> {
  const { memory } = parts;
  if (memory !== undefined) {
    await steps.measure("pages", () => writeMemory(machine, memory, lease.image("memfile"), signal));
    await steps.measure("restore", () => machine.restore(signal));
  }
  // Only now: the channel repeats itself when no answer comes, and each repetition costs the guest a session.
  const secret = parts.firstSecret;
  const secrets = { secret, nextSecret: channelSecret };
  return held.use(await steps.measure("channel", () => connectTo(machine, secrets, tools, signal)));
}

async function introduce(
  order: LaunchOrder,
  { parts, steps }: Sleeping,
  { channel, clock, random }: AgentTools & { readonly channel: LastingChannel },
  signal: AbortSignal,
): Promise<void> {
  const settings = {
    ...settingsOf(order, parts.metafile),
    nowMs: clock.now(),
    entropy: random.bytes(entropyBytes),
  };
  await steps.measure("init", () => new AgentClient(channel).init(settings, signal));
}

/**
 * Finds the agent of a machine that has run on. It may have been stopped, by a pause that was cut off or by its disk:
 * it goes on.
 */
export async function takeOver(
  { machine, channelSecret: secret, steps, held }: Sleeping,
  tools: AgentTools,
  signal: AbortSignal,
): Promise<LastingChannel> {
  if ((await machine.status(signal)) !== "running") await machine.resume(signal);
  const secrets = { secret, nextSecret: secret };
  return held.use(await steps.measure("channel", () => connectTo(machine, secrets, tools, signal)));
}

/** Files pass by the machine's own memory, where this program may reach it. */
async function connectTo(
  machine: Machine,
  secrets: Pick<ChannelOptions, "secret" | "nextSecret">,
  { clock, random, logger }: AgentTools,
  signal: AbortSignal,
): Promise<LastingChannel> {
  const guestBytes = () => PhysicalMemory.open(machine);
  const options = { path: machine.channelPath, ...secrets, clock, random, logger, guestBytes };
  return await LastingChannel.connect(options, signal);
}

/** What a guest may know of its sandbox. */
function factsOf({ id, templateId }: LaunchOrder) {
  return { E2B_SANDBOX: "true", E2B_SANDBOX_ID: id, E2B_TEMPLATE_ID: templateId };
}

function settingsOf(order: LaunchOrder, { envs, user, workdir }: Metafile) {
  return {
    hostname: order.id,
    bootId: randomUUID(),
    envVars: { ...envs, ...order.envs, ...factsOf(order) },
    defaultUser: user,
    ...(order.accessToken === undefined ? {} : { accessToken: order.accessToken }),
    ...(workdir === undefined ? {} : { defaultWorkdir: workdir }),
  };
}
