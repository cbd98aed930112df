// What a sandbox costs above bare QEMU: create → `bash -l -c true`, against the same snapshot restored
// without anything
// of ours and the same command through the same channel; in one run, in turn. Needs a template in LARDER_DATA.
import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import path from "node:path";
import { AgentChannel } from "../src/agent/channel.ts";
import { AgentClient } from "../src/agent/agent-client.ts";
import { systemClock as clock } from "../src/base/clock.ts";
import { silentLogger as logger } from "../src/base/logger.ts";
import { systemRandom as random } from "../src/base/random.ts";
import { MemoryMeter } from "../src/base/testing/memory-meter.ts";
import { hostFacts } from "../src/cli/host-facts.ts";
import { needBase } from "../src/daemon/base-template.ts";
import { readConfiguration } from "../src/daemon/configuration.ts";
import { EndsInOrder } from "../src/daemon/ends-in-order.ts";
import { Metrics } from "../src/daemon/metrics.ts";
import { enterPremises } from "../src/daemon/premises.ts";
import { wireNetworks } from "../src/daemon/wire-networks.ts";
import { wireBuilds, wireSandboxes } from "../src/daemon/wiring.ts";
import type { LaunchOrder } from "../src/sandbox/launcher.ts";
import { machineParts } from "../src/sandbox/machine-parts.ts";
import { makePlaces, removePlaces } from "../src/sandbox/places.ts";
import { StepTimes } from "../src/sandbox/step-times.ts";
import { restoreBare } from "./bare-machine.ts";
import { median, rounded, since } from "./medians.ts";

const rounds = Number(process.argv[2] ?? 20);
const signal = AbortSignal.timeout(30 * 60_000);
await using ends = new EndsInOrder({ eachMsMax: 10_000, clock, logger });
const configuration = readConfiguration(process.env, hostFacts(process.env));
const premises = ends.hold("premises", await enterPremises(configuration.data, process.env));
const meter = new MemoryMeter();
const metrics = Object.assign(new Metrics(() => {}), { observe: meter.observe.bind(meter) });
const logs = { of: async () => [] };
const ground = { configuration, premises, clock, random, logger, logs, metrics };
const builds = await wireBuilds(ground, ends, signal);
const host = await needBase(ground, builds);
const networks = await wireNetworks(ground, ends, signal);
const { sandboxes } = await wireSandboxes(ground, builds, { host, networks }, { ends, running: () => "end" });
const request = {
  template: "base",
  timeoutMs: 60_000,
  metadata: {},
  envs: {},
  secure: true,
  allowInternet: false,
};

/** create() → the first command's end, and the sandbox is killed. */
async function ours(): Promise<number> {
  const started = performance.now();
  const { id, accessToken } = await sandboxes.create(request, signal);
  const client = new AgentClient(sandboxes.channel(id) as AgentChannel, accessToken);
  await client.run("true", {}, signal);
  const took = since(started);
  await sandboxes.kill(id);
  return took;
}

/** The same build, the same files, the same channel; no cage, no admission, no identity of its own. */
async function floor(build: string, vcpus: number, memoryBytes: number): Promise<number> {
  const id = `floor${randomUUID().slice(0, 8)}`;
  const order: LaunchOrder = {
    ...{ id, build, how: "restore", vcpus, memoryBytes, envs: {}, accessToken: undefined, uid: undefined },
    allowInternet: false,
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
  const { kind: accelerator } = host.accelerator;
  const { exports } = builds;
  const options = { lease, exports, accelerator, tscKhz: host.tscKhz, overlayDirectory, steps, random, held };
  const parts = await machineParts(order, options, signal);
  const started = performance.now();
  const machine = held.use(await restoreBare(parts.spec, host.machines.qemu, clock, signal));
  const secrets = { secret: parts.firstSecret, nextSecret: random.bytes(16) };
  const channel = held.use(
    await AgentChannel.connect({ path: machine.channelPath, ...secrets, clock, random, logger }, signal),
  );
  await new AgentClient(channel).run("true", {}, signal);
  return since(started);
}

const first = await sandboxes.create(request, signal);
const record = builds.cache.inspect().leases[0];
await sandboxes.kill(first.id);
if (record === undefined) throw new Error("the first sandbox held no lease");
meter.values.clear();
const times: { ours: number[]; floor: number[] } = { ours: [], floor: [] };
for (let round = 0; round < rounds; round++) {
  times.ours.push(await ours());
  times.floor.push(await floor(record.build, first.cpuCount, first.memoryMb * 2 ** 20));
  console.log(
    `round ${round + 1}: ours ${rounded(times.ours.at(-1) ?? 0)} ms, floor ${rounded(times.floor.at(-1) ?? 0)} ms`,
  );
}
const steps: Record<string, number> = {};
for (const step of [
  "lease",
  "directories",
  "rootfs",
  "export",
  "overlay",
  "files",
  "memfile",
  "machine",
  "restore",
  "channel",
  "init",
]) {
  const labels = { step };
  const count = meter.get("larder_create_step_seconds_count", labels);
  if (count > 0) steps[step] = rounded((1000 * meter.get("larder_create_step_seconds_sum", labels)) / count);
}
console.log("mean milliseconds of each step of ours:", steps);
const medians = { oursMs: rounded(median(times.ours)), floorMs: rounded(median(times.floor)) };
const ratio = rounded(medians.oursMs / medians.floorMs, 3);
const machine = {
  cores: availableParallelism(),
  accelerator: host.accelerator.kind,
  qemu: host.machines.qemu.version,
};
console.log(JSON.stringify({ bench: "restore", rounds, ...machine, ...medians, steps, ratio }));
