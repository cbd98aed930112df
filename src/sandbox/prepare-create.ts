import { Failure } from "../base/failure.ts";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import type { Admission } from "./admission.ts";
import { type Berth, takeBerth } from "./berths.ts";
import { chooseBuild } from "./choose-build.ts";
import type { CreateRequest } from "./create-request.ts";
import type { LaunchOrder, StartedMachine } from "./launcher.ts";
import type { MachinePool, PooledMachine } from "./machine-pool.ts";
import { newPlaces } from "./new-places.ts";
import { newRecord } from "./new-record.ts";
import type { SandboxesOptions } from "./sandboxes-options.ts";

/** A sandbox that has its place on the node and is to be started. */
export interface Prepared {
  readonly record: SandboxRecord;
  readonly how: LaunchOrder["how"];
  readonly berth: Berth;
  /** Its machine, if one was waiting. */
  readonly started: StartedMachine | undefined;
}

interface Node {
  readonly admission: Admission;
  readonly pool: MachinePool;
  /** Called when it is known that it has to wait, or need not. */
  readonly onEntering: () => void;
}

/** Chooses what a sandbox is started from, and waits for its place. Throws as `Sandboxes.create` does. */
export async function prepareCreate(
  request: CreateRequest,
  { admission, pool, onEntering }: Node,
  options: SandboxesOptions,
  signal: AbortSignal,
): Promise<Prepared> {
  const { store, host, uids, clock, meter, logger } = options;
  signal.throwIfAborted();
  const found = await store.templates.find(request.template);
  if (found === undefined) throw new Failure("not_found", `there is no template '${request.template}'`);
  const { build, how, ...chosen } = chooseBuild(found.builds, host);
  const began = clock.monotonic();
  const { vcpus, memoryBytes } = build;
  let pooled: PooledMachine | undefined;
  const lend = () => {
    const kind = { build: build.id, vcpus, memoryBytes, allowInternet: request.allowInternet };
    pooled = how === "restore" ? pool.take(kind) : undefined;
    return pooled === undefined ? uids?.take() : pooled.uid;
  };
  const entering = takeBerth(admission, lend, memoryBytes, signal);
  onEntering();
  const berth = await entering;
  meter.observe("larder_create_step_seconds", (clock.monotonic() - began) / 1000, { step: "admission" });
  const origin = { template: found.template, build };
  const record = newRecord(request, origin, pooled ?? newPlaces(options), clock);
  if ("because" in chosen) {
    const facts = { sandbox: record.id, template: found.template.name, because: chosen.because };
    logger.warn(facts, "a sandbox is booted from its disk instead of restored");
  }
  return { record, how, berth, started: pooled?.machine };
}
