import { ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import type { SandboxChange, SandboxRecord } from "../store/sandbox-records.ts";
import type { HeldBuild } from "./child-builds.ts";
import { Expiry } from "./expiry.ts";
import { fallAsleep } from "./fall-asleep.ts";
import type { Guest } from "./launcher.ts";
import { letGoOn } from "./let-go-on.ts";
import {
  type EndReason,
  type From,
  fromOf,
  guestOf,
  isThere,
  type Pausing,
  type SandboxState,
  type Starting,
  whyNotStarted,
} from "./sandbox-state.ts";
import { reportEnd } from "./report-end.ts";
import type { SandboxOptions } from "./sandbox-options.ts";
import { type Awakening, Tenancy } from "./tenancy.ts";

/** After a pause that failed it runs at least so long before the next one is tried. */
const respiteMs = 30_000;

/** The life of one sandbox. Nobody else changes its state or its record. */
export class Sandbox {
  readonly #options: SandboxOptions;
  readonly #tenancy: Tenancy;
  #record: SandboxRecord;
  #state: SandboxState = { kind: "asleep" };
  #endReason: EndReason | undefined;
  /** Settles when a start, a pause or a snapshot that is under way has: one at a time works on the machine. */
  #busy: Promise<unknown> = Promise.resolve();

  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#record = options.record;
    this.#tenancy = new Tenancy({
      ...options,
      record: () => this.#record,
      change: (part) => (this.#record = { ...this.#record, ...part }),
    });
  }

  get record(): SandboxRecord {
    return this.#record;
  }
  get state(): SandboxState["kind"] {
    return this.#state.kind;
  }

  /** Clients may know of it: it has run, and does not end. */
  get isThere(): boolean {
    return isThere(this.#state);
  }

  /** Why it ends; undefined as long as it does not. */
  get endReason(): EndReason | undefined {
    return this.#endReason;
  }

  /** Undefined unless it runs. */
  get guest(): Pick<Guest, "channel" | "isStalled" | "internet"> | undefined {
    return this.#state.kind === "running" ? this.#state.guest : undefined;
  }

  /** Resolves when what is under way just now has come to its end, well or not. */
  get settled(): Promise<void> {
    return this.#busy.then(ignore, ignore);
  }

  /**
   * Starts it, for the first time or from its sleep. Resolves when it runs. Rejects with what went wrong or with the
   * signal's reason; of a first start nothing is left then, else it sleeps on.
   */
  start(awakening: Awakening, signal: AbortSignal): Promise<void> {
    const from = fromOf(this.#record);
    const cancel = new AbortController();
    const note = async () =>
      from === "nothing" ? await this.#options.records.insert(this.#record) : undefined;
    const either = AbortSignal.any([signal, cancel.signal]);
    const launching = this.#tenancy.begin(awakening, note, either);
    this.#state = { kind: "starting", from, cancel, launching };
    return this.#occupy(this.#start({ awakening, from, launching, cancelled: cancel.signal }, signal));
  }

  /**
   * Puts it to sleep: its machine becomes a build. Resolves when that is durable and the machine is gone; rejects
   * with the reason when it runs on. Throws `conflict` when it does not run.
   */
  pause(memory: boolean): Promise<void> {
    const { guest, expiry } = this.#runningState();
    const { remainingMs } = expiry;
    expiry[Symbol.dispose]();
    const cancel = new AbortController();
    this.#state = { kind: "falling asleep", guest, cancel };
    this.#record = { ...this.#record, state: "pausing" };
    return this.#occupy(this.#pause(this.#busy, { guest, memory, remainingMs, signal: cancel.signal }));
  }

  /** Makes a build of it, and it goes on. Throws `conflict` when it does not run. */
  async snapshot(signal: AbortSignal): Promise<HeldBuild> {
    const { guest } = this.#runningState();
    const take = async (former: Promise<unknown>) => {
      await former.catch(ignore);
      return await this.#options.snapshots.take(guest, { memory: true, goOn: true }, signal);
    };
    return await this.#occupy(take(this.#busy));
  }

  /** Sets or extends its time. False when it does not run. */
  async changeEnd(change: (expiry: Expiry) => void): Promise<boolean> {
    if (this.#state.kind !== "running") return false;
    const { expiry } = this.#state;
    change(expiry);
    await this.amend({ endAt: expiry.endAt });
    return true;
  }

  /** Changes its record and no more. */
  async amend(change: Partial<Pick<SandboxRecord, "endAt" | "allowInternet">>): Promise<void> {
    this.#record = { ...this.#record, ...change };
    await this.#options.records.update(this.#record.id, change);
  }

  /** Lets go of one that runs: its machine goes on without this daemon, and its record says where. */
  async leave(): Promise<void> {
    if (this.#state.kind !== "running") return;
    const { guest, expiry } = this.#state;
    this.#state = { kind: "gone" };
    expiry[Symbol.dispose]();
    await guest.leave();
  }

  /** Ends it because somebody asks for that; a machine that died before is lost, whoever notices it first. */
  async kill(): Promise<void> {
    const state = this.#state;
    if (state.kind !== "running" || state.guest.isAlive()) return await this.end("killed");
    await this.end("lost", { lastWords: await state.guest.lost });
  }

  /** Ends it, in whichever state it is. Resolves when nothing is left; rejects when something could not be removed. */
  end(why: EndReason, facts: object = {}): Promise<void> {
    const state = this.#state;
    if (state.kind === "gone") return Promise.resolve();
    if (state.kind === "stopping" && state.attempt !== undefined) return state.attempt;
    const { id } = this.#record;
    if (state.kind !== "stopping") {
      this.#endReason = why;
      reportEnd(this.#options, id, why, facts);
    }
    if ("cancel" in state) state.cancel.abort(whyNotStarted(id, why));
    if (state.kind === "running") state.expiry[Symbol.dispose]();
    const attempt = this.#remove(state).then(
      () => {
        this.#state = { kind: "gone" };
        this.#options.onGone();
      },
      (error: unknown) => {
        this.#state = { kind: "stopping", attempt: undefined };
        this.#options.logger.error({ sandbox: id, error }, "something of a sandbox could not be removed");
        throw error;
      },
    );
    this.#state = { kind: "stopping", attempt };
    return attempt;
  }

  async #start({ awakening, from, launching, cancelled }: Starting, signal: AbortSignal): Promise<void> {
    const former = this.#record;
    let guest: Guest | undefined;
    try {
      guest = await launching;
      cancelled.throwIfAborted();
      signal.throwIfAborted();
      const changes = this.#run(guest, from, awakening.timeoutMs());
      await this.#options.records.update(this.#record.id, changes);
      signal.throwIfAborted();
    } catch (error) {
      const reason: unknown = cancelled.aborted ? cancelled.reason : error;
      if (from === "sleep" && this.#endReason === undefined) {
        await this.#sleepOn(former, guest);
      } else {
        const why = from === "nothing" ? (signal.aborted ? "abandoned" : "failed") : "lost";
        await this.end(why, { error }).catch(() => "it has been logged, and the cause matters more");
      }
      throw reason;
    }
  }

  /** From here on its time runs: waiting for the start costs the client nothing. */
  #run(guest: Guest, from: From, timeoutMs: number) {
    const { paused, ...record } = this.#record;
    const before = from === "former run" ? record.endAt : undefined; // to the millisecond what it was
    const { endAt } = this.#letRun(guest, Math.max(timeoutMs, paused?.remainingMs ?? 0), before);
    void guest.lost.then((lastWords) => {
      if (this.#state.kind === "running" && this.#state.guest === guest)
        this.#endUnasked("lost", { lastWords });
    });
    const startedAt = from === "nothing" ? this.#options.clock.now() : record.startedAt;
    const changes = { state: "running", startedAt, endAt, channelSecret: guest.channelSecret } as const;
    this.#record = { ...record, ...changes };
    return { ...changes, paused: null };
  }

  #letRun(guest: Guest, timeoutMs: number, endAt?: number): Expiry {
    const expiry = new Expiry(this.#options.clock, timeoutMs, () => this.#onDue(), endAt);
    this.#state = { kind: "running", guest, expiry };
    return expiry;
  }

  #onDue(): void {
    const { onTimeout, keepMemory } = this.#record.lifecycle;
    if (onTimeout === "kill") this.#endUnasked("expired");
    else this.pause(keepMemory).catch(() => "it has been logged, and is tried again");
  }

  /** It could not be woken: nothing of the attempt may be left. */
  async #sleepOn(former: SandboxRecord, guest: Guest | undefined): Promise<void> {
    const state = this.#state;
    if (state.kind === "running") state.expiry[Symbol.dispose]();
    else if (state.kind !== "starting") return;
    this.#record = { ...former, state: "paused" };
    const change = { state: "paused", paused: former.paused ?? null } as const;
    await this.#note(change, "that a sandbox sleeps on could not be noted");
    await this.#tenancy.pauseBetween(guest);
    if (this.#endReason === undefined) this.#state = { kind: "asleep" };
  }

  async #pause(former: Promise<unknown>, { guest, memory, remainingMs, signal }: Pausing): Promise<void> {
    await former.catch(() => "whoever began it knows");
    const wish = { id: this.#record.id, guest, memory, remainingMs };
    try {
      this.#record = { ...this.#record, ...(await fallAsleep(wish, this.#options, signal)) };
    } catch (error) {
      this.#warn(error, "a sandbox could not be paused");
      if (this.#endReason === undefined) await this.#runOn(guest, remainingMs);
      throw error;
    }
    // It sleeps, whatever becomes of the machine. Whoever ends it meanwhile ends that too.
    signal.throwIfAborted();
    await this.#tenancy.pauseBetween(guest);
    if (this.#endReason === undefined) this.#state = { kind: "asleep" };
    this.#options.snapshots.sweep();
  }

  /** The pause failed: it runs on as if nothing had been, with what was left of its time. */
  async #runOn(guest: Guest, remainingMs: number): Promise<void> {
    try {
      await letGoOn(guest, this.#options.clock);
    } catch (error) {
      return this.#endUnasked("lost", { error });
    }
    if (this.#endReason !== undefined) return;
    const { endAt } = this.#letRun(guest, remainingMs === 0 ? respiteMs : remainingMs);
    this.#record = { ...this.#record, state: "running", endAt };
    await this.#note({ state: "running", endAt }, "that a sandbox runs on could not be noted");
    // Its end may have been told while nobody listened.
    const lastWords = await Promise.race([guest.lost, Promise.resolve(undefined)]);
    if (lastWords !== undefined) this.#endUnasked("lost", { lastWords });
  }

  #endUnasked(why: EndReason, facts: object = {}): void {
    this.end(why, facts).catch(() => "it has been logged; whoever kills it tries again");
  }

  async #remove(state: SandboxState): Promise<void> {
    const { records, snapshots } = this.#options;
    await this.#note({ state: "stopping" }, "the end of a sandbox could not be noted");
    if (state.kind === "falling asleep") await this.settled;
    await this.#tenancy.end(guestOf(state));
    await records.delete(this.#record.id);
    this.#tenancy.leave();
    snapshots.sweep();
  }

  #runningState() {
    if (this.#state.kind === "running") return this.#state;
    throw new Failure("conflict", `sandbox '${this.#record.id}' does not run`);
  }

  /** `work` is what goes on with its machine from now on. */
  #occupy<T>(work: Promise<T>): Promise<T> {
    this.#busy = work;
    work.catch(() => "whoever asked for it knows");
    return work;
  }

  async #note(change: SandboxChange, otherwise: string): Promise<void> {
    const { records } = this.#options;
    await records.update(this.#record.id, change).catch((error: unknown) => this.#warn(error, otherwise));
  }

  #warn(error: unknown, what: string): void {
    this.#options.logger.warn({ sandbox: this.#record.id, error }, what);
  }
}
