import assert from "node:assert/strict";
import { silentLogger } from "../../base/logger.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import { SeededRandom } from "../../base/testing/seeded-random.ts";
import { settled, VirtualClock } from "../../base/testing/virtual-clock.ts";
import { Store } from "../../store/store.ts";
import { publishedTemplate } from "../../store/testing/sample-records.ts";
import type { AdmissionLimits } from "../admission.ts";
import type { CreateRequest } from "../create-request.ts";
import { endLeftovers } from "../leftovers.ts";
import { Sandboxes } from "../sandboxes.ts";
import type { SandboxView } from "../sandbox-view.ts";
import { UidRange } from "../uid-range.ts";
import { FakeSnapshots } from "./fake-snapshots.ts";
import { FakeLauncher } from "./fake-launcher.ts";

export const mebibyte = 2 ** 20;

interface Limits extends AdmissionLimits {
  readonly poolMachinesMax: number;
}

const roomy: AdmissionLimits = {
  sandboxesMax: 100,
  memoryBytesMax: 100 * 512 * mebibyte,
  startsMax: 100,
  waitersMax: 100,
  waitMsMax: 20_000,
};

const places = { directory: "/data/sandboxes", socketDirectory: "/run/larder/0123abcd" };

const never = new AbortController().signal;

/** A create under way; in an object, so that it can be handed on without being waited for. */
export interface Begun {
  readonly create: Promise<SandboxView>;
}

/** Sandboxes over a store in memory, with the template `base`, on a node without virtual machines. */
export class Scene implements AsyncDisposable {
  readonly clock: VirtualClock;
  readonly meter = new MemoryMeter();
  readonly launcher = new FakeLauncher();
  readonly snapshots = new FakeSnapshots();
  /** Another range after a restart. */
  uids = freshUids();
  readonly store: Store;
  /** Another one after a restart. */
  sandboxes: Sandboxes;
  readonly #limits: Partial<Limits>;

  private constructor(store: Store, clock: VirtualClock, limits: Partial<Limits>) {
    this.store = store;
    this.clock = clock;
    this.#limits = limits;
    this.sandboxes = this.#sandboxes();
  }

  #sandboxes(): Sandboxes {
    return new Sandboxes({
      store: this.store,
      launcher: this.launcher,
      snapshots: this.snapshots,
      host: publishedTemplate().build.shape ?? assert.fail("the sample has memory"),
      limits: { ...roomy, ...this.#limits },
      poolMachinesMax: this.#limits.poolMachinesMax ?? 0,
      ...places,
      uids: this.uids,
      agentVersion: "0.6.13",
      clock: this.clock,
      random: new SeededRandom(7),
      logger: silentLogger,
      meter: this.meter,
    });
  }

  static async open(limits: Partial<Limits> = {}): Promise<Scene> {
    const clock = new VirtualClock();
    const random = new SeededRandom(1);
    const store = await Store.open({ path: ":memory:", clock, logger: silentLogger, random });
    await store.templates.publish(publishedTemplate());
    return new Scene(store, clock, limits);
  }

  /** The daemon ends, and another one begins over the same store. */
  async restart(running: "end" | "leave" = "end"): Promise<void> {
    await this.sandboxes.close(running);
    if (running === "end") await this.#endLeftovers();
    this.uids = freshUids();
    this.sandboxes = this.#sandboxes();
    await this.sandboxes.recall();
  }

  async #endLeftovers(): Promise<void> {
    const { launcher } = this;
    launcher.brokenRemovals = 0;
    // What has left something is found by its directory, whatever its record says.
    await Promise.all([...launcher.there].map((id) => launcher.reap({ id, ...places })));
    await endLeftovers({ records: this.store.sandboxes, launcher, ...places, logger: silentLogger });
  }

  /** Begins a create; its launch is under way when this resolves, if there was a place for it. */
  async begin(request: Partial<CreateRequest> = {}, signal = never): Promise<Begun> {
    const create = this.sandboxes.create(createRequest(request), signal);
    create.catch(() => "the test looks at it later");
    await settled();
    return { create };
  }

  /** A sandbox that runs. */
  async create(request: Partial<CreateRequest> = {}): Promise<SandboxView> {
    const count = this.launcher.launches.length;
    const { create } = await this.begin(request);
    this.launcher.launches[count]?.answer();
    return create;
  }

  /** Asserts that nothing of any sandbox is left, in whatever room. */
  async assertNothingLeft(): Promise<void> {
    await settled();
    assert.deepEqual([...this.launcher.there], [], "guests");
    assert.deepEqual(await this.store.sandboxes.all(), [], "records");
    assert.equal(this.uids.lent, 0, "user ids");
    assert.equal(this.clock.pending, 0, "timers");
    assert.equal(this.snapshots.held.size, 0, "builds");
    assert.deepEqual(this.sandboxes.inspect(), { sandboxes: [], pool: [], places: 0, waiting: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandboxes.close();
    await this.assertNothingLeft();
    await this.store.close();
  }
}

function freshUids(): UidRange {
  return new UidRange(100_000, 1_000);
}

function createRequest(request: Partial<CreateRequest>): CreateRequest {
  return {
    template: "base",
    timeoutMs: 300_000,
    metadata: {},
    envs: {},
    secure: true,
    allowInternet: true,
    ...request,
  };
}
