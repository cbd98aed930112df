import { abortable } from "../base/abortable.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { silentTracer } from "../base/tracer.ts";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import { adoption, leftMachine } from "./adoption.ts";
import { Admission } from "./admission.ts";
import { type Berth, retakeBerth, takeBerth } from "./berths.ts";
import { checkLimit, checkRequest, checkTimeout, type CreateRequest } from "./create-request.ts";
import { type Ingress, ingressOf } from "./ingress.ts";
import type { GuestChannel } from "./launcher.ts";
import { inspectionOf } from "./inspection.ts";
import { setInternetAccess } from "./internet-access.ts";
import { MachinePool } from "./machine-pool.ts";
import { newPlaces } from "./new-places.ts";
import { forkRecord } from "./new-record.ts";
import { noSuchSandbox } from "./no-such-sandbox.ts";
import { capture, type Captured, type Connected } from "./outcomes.ts";
import { type Prepared, prepareCreate } from "./prepare-create.ts";
import { Sandbox } from "./sandbox.ts";
import { recordStates, type SandboxFilter, type SandboxPage } from "./sandbox-filter.ts";
import { type SandboxView, viewOf } from "./sandbox-view.ts";
import type { SandboxesOptions } from "./sandboxes-options.ts";
import { accessTokenOf } from "./tokens.ts";
import { wake, wokenByTrafficMsMin } from "./wake.ts";

/** How long a machine that was left may take to answer. */
const adoptMsMax = 60_000;

/** All sandboxes of this node. What names an unknown id throws `not_found`. */
export class Sandboxes implements AsyncDisposable {
  readonly #options: SandboxesOptions;
  readonly #admission: Admission;
  readonly #pool: MachinePool;
  readonly #live = new Map<string, Sandbox>();
  readonly #creates = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor(options: SandboxesOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits, options.clock);
    this.#pool = new MachinePool({ ...options, machinesMax: options.poolMachinesMax });
  }

  /**
   * Resolves when the sandbox can be used; its time runs from then on. When the signal aborts before, nothing is left
   * behind. Throws `not_found` for an unknown template, `exhausted` when the node stays full, `invalid` by name.
   */
  async create(request: CreateRequest, signal: AbortSignal): Promise<SandboxView> {
    checkRequest(request);
    const { tracer = silentTracer } = this.#options;
    const create = () => this.#create(request, AbortSignal.any([signal, this.#closing.signal]));
    return await this.#amongCreates(tracer.span("create", { template: request.template }, create));
  }

  /**
   * Takes over what a former run has left, asleep or running; to be called before anybody asks. What runs and cannot
   * be reached is ended, and that is logged.
   */
  async recall(): Promise<void> {
    const records = await this.#options.store.sandboxes.all();
    for (const record of records.filter(({ state }) => state === "paused"))
      this.#live.set(record.id, this.#sandbox(record));
    await Promise.all(records.map((record) => this.#adopt(record)));
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
      if (sandbox.state === "running" && (await sandbox.changeEnd((end) => end.extend(timeoutMs))))
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
    await this.#running(id).changeEnd((end) => end.set(timeoutMs));
  }

  /** Gives it a way to the internet, or takes it. Throws `conflict` where that cannot be done while it runs. */
  async setInternetAccess(id: string, allowed: boolean, signal: AbortSignal): Promise<void> {
    await setInternetAccess(this.#known(id), allowed, this.#options.clock, signal);
  }

  /** Puts it to sleep; with `memory` it goes on where it was. Throws `conflict` when it sleeps already. */
  async pause(id: string, memory: boolean): Promise<void> {
    const sandbox = this.#known(id);
    if (sandbox.state === "starting") await sandbox.settled;
    if (sandbox.state !== "running") throw new Failure("conflict", `sandbox '${id}' is paused already`);
    await sandbox.pause(memory);
  }

  /** A build of it as it is now, and it goes on; one that sleeps has one. With `record` others can start like it. */
  async capture(id: string, signal: AbortSignal): Promise<Captured> {
    return await capture(this.#known(id), this.#options.snapshots, signal);
  }

  /** Starts a sandbox of its own from what was captured of another one, like that one in all but its time. */
  async startLike(like: Captured, timeoutMs: number, signal: AbortSignal): Promise<SandboxView> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const start = async () => {
      const berth = await this.#berth(like.record.memoryBytes, either);
      const wish = { build: like.held.build, timeoutMs };
      const record = forkRecord(like.record, wish, newPlaces(this.#options), this.#options.clock);
      const how = like.memory ? "restore" : "boot";
      return await this.#begin({ record, how, berth, started: undefined }, either);
    };
    return await this.#amongCreates(start());
  }

  /**
   * The way into its guest for traffic that comes from outside. One that sleeps is woken for it when it was made so,
   * for whoever `mayWake`; one that wakes is waited for. Throws `not_found` when there is no way.
   */
  async reach(
    id: string,
    mayWake: (view: SandboxView) => boolean,
    signal: AbortSignal,
  ): Promise<GuestChannel> {
    const sandbox = this.#known(id);
    const wakes = sandbox.record.lifecycle.autoResume && mayWake(this.#view(sandbox.record));
    if (sandbox.state === "starting" || (wakes && sandbox.state === "falling asleep"))
      await abortable(sandbox.settled, signal);
    const timeoutMs = Math.max(sandbox.record.timeoutMs, wokenByTrafficMsMin);
    if (wakes && sandbox.record.paused?.memory === true) await this.connect(id, { timeoutMs }, signal);
    return this.channel(id);
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
    const { guest } = this.#running(id);
    if (guest === undefined) throw noSuchSandbox(id);
    return guest.channel;
  }

  /** Who may come to its ports from outside. */
  ingress(id: string): Ingress {
    return ingressOf(this.#view(this.#known(id).record));
  }

  inspect() {
    const { inside: places, waiting } = this.#admission;
    return { sandboxes: inspectionOf(this.#live.values()), pool: this.#pool.ids, places, waiting };
  }

  /**
   * Takes no more, and ends all that run, or leaves them running; those that sleep stay for the next run. What could
   * not be removed has been logged; the next start tries again.
   */
  async close(running: "end" | "leave" = "end"): Promise<void> {
    this.#closing.abort(new Failure("unavailable", "the daemon is stopping"));
    const end = async (sandbox: Sandbox) => {
      if (sandbox.isThere && sandbox.state !== "running") await sandbox.settled;
      if (running === "leave" && sandbox.state === "running") await sandbox.leave();
      else if (sandbox.state !== "asleep") await sandbox.end("closing");
    };
    await Promise.allSettled([...this.#creates, ...[...this.#live.values()].map(end), this.#pool.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #amongCreates<T>(create: Promise<T>): Promise<T> {
    this.#creates.add(create);
    try {
      return await create;
    } finally {
      this.#creates.delete(create);
      if (this.#creates.size === 0) this.#pool.fillSoon();
      this.#show();
    }
  }

  async #create(request: CreateRequest, signal: AbortSignal): Promise<SandboxView> {
    const { clock, logger, meter } = this.#options;
    const began = clock.monotonic();
    const node = { admission: this.#admission, pool: this.#pool, onEntering: () => this.#show() };
    const view = await this.#begin(await prepareCreate(request, node, this.#options, signal), signal);
    logger.info({ sandbox: view.id, template: view.alias }, "a sandbox runs");
    meter.observe("larder_create_seconds", (clock.monotonic() - began) / 1000);
    return view;
  }

  async #begin({ record, how, berth, started }: Prepared, signal: AbortSignal): Promise<SandboxView> {
    const sandbox = this.#sandbox(record);
    this.#live.set(record.id, sandbox);
    const { timeoutMs } = record;
    const awakening = { how: async () => how, timeoutMs: () => timeoutMs, berth: async () => berth, started };
    await sandbox.start(awakening, signal);
    return this.#view(sandbox.record);
  }

  async #adopt(record: SandboxRecord): Promise<void> {
    const left = leftMachine(record);
    if (left === undefined) return;
    const { clock, uids } = this.#options;
    const sandbox = this.#sandbox(record);
    this.#live.set(record.id, sandbox);
    using limit = deadline(clock, adoptMsMax, `taking over sandbox '${record.id}'`, this.#closing.signal);
    const awakening = adoption(record, left, () => retakeBerth(this.#admission, uids, record), clock);
    await sandbox.start(awakening, limit.signal).catch(() => "it has been ended, and that is logged");
    this.#show();
  }

  /** Begins in the same moment: nobody else can find it asleep. */
  #wake(sandbox: Sandbox, timeoutMs: number, reboot: boolean): Promise<void> {
    const berth = (signal: AbortSignal) => this.#berth(sandbox.record.memoryBytes, signal);
    const woken = wake(sandbox, { timeoutMs, reboot, berth }, this.#options, this.#closing.signal);
    return this.#amongCreates(woken);
  }

  #berth(bytes: number, signal: AbortSignal): Promise<Berth> {
    return takeBerth(this.#admission, () => this.#options.uids?.take(), bytes, signal);
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
