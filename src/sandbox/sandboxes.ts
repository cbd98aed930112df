import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import type { Store } from "../store/store.ts";
import { Admission, type AdmissionLimits } from "./admission.ts";
import { type Berth, takeBerth } from "./berths.ts";
import type { SnapshotKeeper } from "./child-builds.ts";
import { chooseBuild, type HostShape } from "./choose-build.ts";
import { checkLimit, checkRequest, checkTimeout, type CreateRequest } from "./create-request.ts";
import { type Ingress, ingressOf } from "./ingress.ts";
import type { GuestChannel, Launcher, LaunchOrder } from "./launcher.ts";
import { newRecord } from "./new-record.ts";
import { resumption } from "./resumption.ts";
import { Sandbox } from "./sandbox.ts";
import { recordStates, type SandboxFilter, type SandboxPage } from "./sandbox-filter.ts";
import { type SandboxView, viewOf } from "./sandbox-view.ts";
import type { Awakening } from "./tenancy.ts";
import { accessTokenOf } from "./tokens.ts";
import type { UidRange } from "./uid-range.ts";

export interface SandboxesOptions {
  readonly store: Pick<Store, "settings" | "templates" | "sandboxes">;
  readonly launcher: Launcher;
  readonly snapshots: SnapshotKeeper;
  readonly host: HostShape;
  readonly limits: AdmissionLimits;
  /** Gets one directory for each sandbox. */
  readonly directory: string;
  /** The same for sockets; short. */
  readonly socketDirectory: string;
  /** Users that machines run as; only a root daemon has some to give. */
  readonly uids?: UidRange;
  readonly agentVersion: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** What connecting to a sandbox came to. */
export interface Connected {
  readonly view: SandboxView;
  /** It slept before. */
  readonly resumed: boolean;
}

/** How long waking a sandbox may take, whoever waits for it. */
const wakeMsMax = 120_000;

/** All sandboxes of this node. What names an unknown id throws `not_found`. */
export class Sandboxes implements AsyncDisposable {
  readonly #options: SandboxesOptions;
  readonly #admission: Admission;
  readonly #live = new Map<string, Sandbox>();
  readonly #creates = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor(options: SandboxesOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits, options.clock);
  }

  /**
   * Resolves when the sandbox can be used; its time runs from then on. When the signal aborts before, nothing is left
   * behind. Throws `not_found` for an unknown template, `exhausted` when the node stays full, `invalid` by name.
   */
  async create(request: CreateRequest, signal: AbortSignal): Promise<SandboxView> {
    checkRequest(request);
    const create = this.#create(request, AbortSignal.any([signal, this.#closing.signal]));
    this.#creates.add(create);
    try {
      return await create;
    } finally {
      this.#creates.delete(create);
      this.#show();
    }
  }

  /** Takes over what a former run has left asleep; to be called before anybody asks. */
  async recall(): Promise<void> {
    for (const record of await this.#options.store.sandboxes.all()) {
      if (record.state === "paused") this.#live.set(record.id, this.#sandbox(record));
    }
  }

  async get(id: string): Promise<SandboxView> {
    return this.#view(this.#known(id).record);
  }

  /** One page, by start time. A token stays good whatever comes and goes. */
  async list(filter: SandboxFilter): Promise<SandboxPage> {
    checkLimit(filter.limit);
    const states = recordStates(filter.states);
    const { records, next } = await this.#options.store.sandboxes.page({ ...filter, states });
    const sandboxes = records
      .filter(({ id, state }) => this.#live.get(id)?.isThere === true && state !== "starting")
      .map((record) => this.#view(record));
    return next === undefined ? { sandboxes } : { sandboxes, next };
  }

  /**
   * Wakes it if it sleeps, and extends the life to at least `timeoutMs` from now, never shortens it. With `reboot` one
   * that sleeps is started from its disk. Throws `conflict` while it ends.
   */
  async connect(
    id: string,
    { timeoutMs, reboot = false }: { readonly timeoutMs: number; readonly reboot?: boolean },
    signal: AbortSignal,
  ): Promise<Connected> {
    checkTimeout(timeoutMs);
    for (;;) {
      if (this.#live.get(id)?.endReason !== undefined)
        throw new Failure("conflict", `sandbox '${id}' is ending`);
      const sandbox = this.#known(id);
      if (sandbox.state === "running" && (await sandbox.extendTimeout(timeoutMs)))
        return { view: this.#view(sandbox.record), resumed: false };
      if (sandbox.state === "asleep") {
        // Whoever leaves while it wakes ends nobody else's wait.
        await abortable(this.#wake(sandbox, timeoutMs, reboot), signal);
        return { view: this.#view(sandbox.record), resumed: true };
      }
      await abortable(sandbox.settled, signal);
    }
  }

  /** Sets the end to `timeoutMs` from now, sooner or later than it was. */
  async setTimeout(id: string, timeoutMs: number): Promise<void> {
    checkTimeout(timeoutMs);
    await this.#running(id).setTimeout(timeoutMs);
  }

  /** Puts it to sleep; with `memory` it goes on where it was. Throws `conflict` when it sleeps already. */
  async pause(id: string, memory: boolean): Promise<void> {
    const sandbox = this.#known(id);
    if (sandbox.state === "starting") await sandbox.settled;
    if (sandbox.state !== "running") throw new Failure("conflict", `sandbox '${id}' is paused already`);
    await sandbox.pause(memory);
  }

  /**
   * Resolves when nothing of it is left, whatever state it was in. False when there is no such sandbox, or when it has
   * come to its end without anybody's help.
   */
  async kill(id: string): Promise<boolean> {
    const sandbox = this.#live.get(id);
    if (sandbox === undefined) return false;
    await sandbox.kill();
    return sandbox.endReason === "killed";
  }

  /** The way into its guest, good until it ends. */
  channel(id: string): GuestChannel {
    const { channel } = this.#running(id);
    if (channel === undefined) throw noSuchSandbox(id);
    return channel;
  }

  /** Who may come to its ports from outside. */
  ingress(id: string): Ingress {
    return ingressOf(this.#view(this.#known(id).record));
  }

  /** What is there, for operators: starting and ending ones too. */
  inspect(): object {
    const awake = [...this.#live.values()].filter(({ state }) => state !== "asleep");
    const sandboxes = awake.map(({ record, state, endReason }) => ({
      id: record.id,
      state: endReason === undefined ? state : "stopping",
      build: record.build,
      pid: record.process?.pid,
      directory: record.directory,
      socketDirectory: record.socketDirectory,
    }));
    return { sandboxes, places: this.#admission.inside, waiting: this.#admission.waiting };
  }

  /**
   * Ends all that run and takes no more; those that sleep stay for the next run. What could not be removed has been
   * logged; the next start tries again.
   */
  async close(): Promise<void> {
    this.#closing.abort(new Failure("unavailable", "the daemon is stopping"));
    const end = async (sandbox: Sandbox) => {
      if (sandbox.isThere && sandbox.state !== "running") await sandbox.settled;
      if (sandbox.state !== "asleep") await sandbox.end("closing");
    };
    await Promise.allSettled([...this.#creates, ...[...this.#live.values()].map(end)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #create(request: CreateRequest, signal: AbortSignal): Promise<SandboxView> {
    const { store, host, clock, meter, logger } = this.#options;
    signal.throwIfAborted();
    const found = await store.templates.find(request.template);
    if (found === undefined) throw new Failure("not_found", `there is no template '${request.template}'`);
    const chosen = chooseBuild(found.builds, host);
    const began = clock.monotonic();
    const entering = this.#berth(chosen.build.memoryBytes, signal);
    this.#show();
    const berth = await entering;
    meter.observe("larder_create_step_seconds", (clock.monotonic() - began) / 1000, { step: "admission" });
    const record = newRecord(request, { template: found.template, build: chosen.build }, this.#options);
    if (chosen.how === "boot") {
      const facts = { sandbox: record.id, template: found.template.name, because: chosen.because };
      logger.warn(facts, "a sandbox is booted from its disk instead of restored");
    }
    const view = await this.#begin(record, { how: chosen.how, berth }, signal);
    meter.observe("larder_create_seconds", (clock.monotonic() - began) / 1000);
    return view;
  }

  async #begin(
    record: SandboxRecord,
    { how, berth }: { readonly how: LaunchOrder["how"]; readonly berth: Berth },
    signal: AbortSignal,
  ): Promise<SandboxView> {
    const sandbox = this.#sandbox(record);
    this.#live.set(record.id, sandbox);
    const { timeoutMs } = record;
    await sandbox.start({ how: async () => how, timeoutMs, berth: async () => berth }, signal);
    return this.#view(sandbox.record);
  }

  /** Begins in the same moment: nobody else can find it asleep. */
  #wake(sandbox: Sandbox, timeoutMs: number, reboot: boolean): Promise<void> {
    const { snapshots, host, clock, meter } = this.#options;
    const { record } = sandbox;
    const limit = deadline(clock, wakeMsMax, `waking sandbox '${record.id}'`, this.#closing.signal);
    const awakening: Awakening = {
      how: () => resumption(record, reboot, snapshots, host),
      timeoutMs,
      berth: (signal) => this.#berth(record.memoryBytes, signal),
    };
    const began = clock.monotonic();
    const woken = sandbox.start(awakening, limit.signal).finally(() => {
      limit[Symbol.dispose]();
      meter.observe("larder_resume_seconds", (clock.monotonic() - began) / 1000);
      this.#show();
    });
    this.#creates.add(woken);
    woken.catch(ignore).finally(() => this.#creates.delete(woken));
    return woken;
  }

  #berth(memoryBytes: number, signal: AbortSignal): Promise<Berth> {
    return takeBerth(this.#admission, this.#options.uids, memoryBytes, signal);
  }

  #sandbox(record: SandboxRecord): Sandbox {
    const { store, launcher, snapshots, clock, logger, meter } = this.#options;
    return new Sandbox({
      record,
      accessToken: record.secure ? accessTokenOf(store.settings.tokenSeed, record.id) : undefined,
      onGone: () => {
        this.#live.delete(record.id);
        this.#show();
      },
      ...{ launcher, records: store.sandboxes, snapshots, clock, logger, meter },
    });
  }

  /** One that clients may know of. */
  #known(id: string): Sandbox {
    const sandbox = this.#live.get(id);
    if (sandbox?.isThere !== true) throw noSuchSandbox(id);
    return sandbox;
  }

  #running(id: string): Sandbox {
    const sandbox = this.#live.get(id);
    if (sandbox?.state !== "running") throw noSuchSandbox(id);
    return sandbox;
  }

  #view(record: SandboxRecord): SandboxView {
    return viewOf(record, this.#options.agentVersion, this.#options.store.settings.tokenSeed);
  }

  #show(): void {
    const asleep = [...this.#live.values()].filter(({ state }) => state === "asleep").length;
    this.#options.meter.gauge("larder_sandboxes", this.#live.size - asleep);
    this.#options.meter.gauge("larder_sandboxes_paused", asleep);
    this.#options.meter.gauge("larder_creates_waiting", this.#admission.waiting);
  }
}

function noSuchSandbox(id: string): Failure {
  return new Failure("not_found", `there is no sandbox '${id}'`);
}
