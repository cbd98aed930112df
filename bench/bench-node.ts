import { availableParallelism } from "node:os";
import type { AgentChannel } from "../src/agent/channel.ts";
import { AgentClient } from "../src/agent/agent-client.ts";
import { systemClock as clock } from "../src/base/clock.ts";
import { silentLogger as logger } from "../src/base/logger.ts";
import { systemRandom as random } from "../src/base/random.ts";
import { MemoryMeter } from "../src/base/testing/memory-meter.ts";
import { silentTracer } from "../src/base/tracer.ts";
import { hostFacts } from "../src/cli/host-facts.ts";
import { needBase } from "../src/daemon/base-template.ts";
import { readConfiguration } from "../src/daemon/configuration.ts";
import { EndsInOrder } from "../src/daemon/ends-in-order.ts";
import { Metrics } from "../src/daemon/metrics.ts";
import { enterPremises } from "../src/daemon/premises.ts";
import { wireNetworks } from "../src/daemon/wire-networks.ts";
import { wireBuilds, wireSandboxes } from "../src/daemon/wiring.ts";
import type { SandboxView } from "../src/sandbox/sandbox-view.ts";
import { floor } from "./floor.ts";
import { since } from "./medians.ts";

const request = {
  template: "base",
  timeoutMs: 60_000,
  metadata: {},
  envs: {},
  secure: true,
  allowInternet: false,
};

/** A node as the daemon wires it, over the template in LARDER_DATA, without an API before it. */
export async function benchNode(environment: NodeJS.ProcessEnv, signal: AbortSignal) {
  const ends = new EndsInOrder({ eachMsMax: 10_000, clock, logger });
  const configuration = readConfiguration(environment, hostFacts(environment));
  const premises = ends.hold("premises", await enterPremises(configuration.data, environment));
  const meter = new MemoryMeter();
  const metrics = Object.assign(new Metrics(() => {}), { observe: meter.observe.bind(meter) });
  const logs = { of: async () => [] };
  const ground = { configuration, premises, clock, random, logger, logs, metrics, tracer: silentTracer };
  const builds = await wireBuilds(ground, ends, signal);
  const host = await needBase(ground, builds);
  const networks = await wireNetworks(ground, ends, signal);
  const rooms = { host, networks };
  const { sandboxes } = await wireSandboxes(ground, builds, rooms, { ends, running: () => "end" });
  const { machines, accelerator } = host;
  const machine = {
    cores: availableParallelism(),
    accelerator: accelerator.kind,
    qemu: machines.qemu.version,
  };

  async function run({ id, accessToken }: SandboxView, command: string): Promise<void> {
    const client = new AgentClient(sandboxes.channel(id) as AgentChannel, accessToken);
    await client.run(command, {}, signal);
  }

  /** create() → the end of the first command. */
  async function create(): Promise<{ ms: number; id: string; view: SandboxView }> {
    const started = performance.now();
    const view = await sandboxes.create(request, signal);
    await run(view, "true");
    return { ms: since(started), id: view.id, view };
  }

  const first = await sandboxes.create(request, signal);
  const record = builds.cache.inspect().leases[0];
  await sandboxes.kill(first.id);
  if (record === undefined) throw new Error("the first sandbox held no lease");
  const { accessToken: _token, ...template } = first; // whose agent asks for none
  meter.values.clear();
  return {
    sandboxes,
    meter,
    machine,
    create,
    run,
    /** What a sandbox that sleeps would start from. */
    buildOf: async (id: string) => (await builds.store.sandboxes.all()).find((each) => each.id === id)?.build,
    /** Of the template, or of a build that was made of the sandbox `like`. */
    floor: (build = record.build, like?: SandboxView) =>
      floor({ configuration, premises, builds, host }, build, like ?? template, signal),
    [Symbol.asyncDispose]: () => ends[Symbol.asyncDispose](),
  };
}
