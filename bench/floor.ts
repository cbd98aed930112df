import { randomUUID } from "node:crypto";
import path from "node:path";
import { AgentChannel } from "../src/agent/channel.ts";
import { AgentClient } from "../src/agent/agent-client.ts";
import { systemClock as clock } from "../src/base/clock.ts";
import { silentLogger as logger } from "../src/base/logger.ts";
import { systemRandom as random } from "../src/base/random.ts";
import { MemoryMeter } from "../src/base/testing/memory-meter.ts";
import type { Host } from "../src/daemon/host.ts";
import type { Builds, Ground } from "../src/daemon/wiring.ts";
import type { LaunchOrder } from "../src/sandbox/launcher.ts";
import { machineParts } from "../src/sandbox/machine-parts.ts";
import { makePlaces, removePlaces } from "../src/sandbox/places.ts";
import type { SandboxView } from "../src/sandbox/sandbox-view.ts";
import { StepTimes } from "../src/sandbox/step-times.ts";
import { writeMemory } from "../src/sandbox/write-memory.ts";
import { restoreBare } from "./bare-machine.ts";
import { since } from "./medians.ts";

interface FloorNode extends Pick<Ground, "configuration" | "premises"> {
  readonly builds: Builds;
  readonly host: Host;
}

/** The same build, the same files, the same channel; no cage, no admission, no identity of its own. */
export async function floor(
  { configuration, premises, builds, host }: FloorNode,
  build: string,
  { cpuCount: vcpus, memoryMb, accessToken }: SandboxView,
  signal: AbortSignal,
): Promise<number> {
  const id = `floor${randomUUID().slice(0, 8)}`;
  const memoryBytes = memoryMb * 2 ** 20;
  const order: LaunchOrder = {
    ...{ id, build, how: "restore", vcpus, memoryBytes, envs: {}, accessToken: undefined, uid: undefined },
    ...{ templateId: "bench", allowInternet: false },
    directory: path.join(configuration.data, "sandboxes", id),
    socketDirectory: path.join(premises.runDirectory, id),
    onProcess: () => {},
  };
  await using held = new AsyncDisposableStack();
  held.defer(() => removePlaces(order));
  await makePlaces(order);
  const lease = held.use(await builds.cache.acquire(build, "bench", signal));
  const steps = new StepTimes(clock, new MemoryMeter());
  const overlayDirectory = path.join(configuration.data, "overlays");
  const options = { lease, exports: builds.exports, accelerator: host.accelerator.kind, tscKhz: host.tscKhz };
  const parts = await machineParts(order, { ...options, overlayDirectory, steps, random, held }, signal);
  const started = performance.now();
  const fill = async (pid: number) => {
    const { memory, spec } = parts;
    const machine = { identity: { pid, startTime: "" }, spec };
    if (memory !== undefined) await writeMemory(machine, memory, lease.image("memfile"), signal);
  };
  const bare = held.use(await restoreBare(parts.spec, host.machines.qemu, clock, signal, fill));
  const secrets = { secret: parts.firstSecret, nextSecret: random.bytes(16) };
  const channel = held.use(
    await AgentChannel.connect({ path: bare.channelPath, ...secrets, clock, random, logger }, signal),
  );
  await new AgentClient(channel, accessToken).run("true", {}, signal);
  return since(started);
}
