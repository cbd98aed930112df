import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { SandboxRecord, SandboxRecords } from "../store/sandbox-records.ts";
import type { Place } from "./admission.ts";
import { Expiry } from "./expiry.ts";
import type { Guest, GuestChannel, Launcher, LaunchOrder } from "./launcher.ts";
import type { LentUid } from "./uid-range.ts";

/**
 *              launched               ended            removed
 *   starting ────────────▶ running ──────────▶ stopping ──────▶ gone
 *       │                                       ▲    │
 *       └────────── ended, or failed ───────────┘    └─ could not be removed: stays, and the next `end` tries again
 */
type State =
  | { readonly kind: "starting"; readonly cancel: AbortController; readonly launching: Promise<Guest> }
  | { readonly kind: "running"; readonly guest: Guest; readonly expiry: Expiry }
  | { readonly kind: "stopping"; readonly attempt: Promise<void> | undefined }
  | { readonly kind: "gone" };

/** Why a sandbox ended; the label `why` of the counter. */
export type EndReason = "killed" | "expired" | "lost" | "failed" | "abandoned" | "closing";

export interface SandboxOptions {
  /** In state `starting`. */
  readonly record: SandboxRecord;
  readonly how: LaunchOrder["how"];
  readonly accessToken: string | undefined;
  readonly timeoutMs: number;
  /** Given back when the sandbox is gone. */
  readonly place: Place;
  readonly uid: LentUid | undefined;
  readonly onGone: () => void;
  readonly launcher: Launcher;
  readonly records: SandboxRecords;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** The life of one sandbox. Nobody else changes its state or its record. */
export class Sandbox {
  readonly #options: SandboxOptions;
  #record: SandboxRecord;
  #state: State;
  #endReason: EndReason | undefined;
  #processNoted: Promise<void> = Promise.resolve();

  /** Starts at once; `ready` says how that went. */
  constructor(options: SandboxOptions, signal: AbortSignal) {
    this.#options = options;
    this.#record = options.record;
    const cancel = new AbortController();
    const launching = this.#launch(AbortSignal.any([signal, cancel.signal]));
    this.#state = { kind: "starting", cancel, launching };
    this.ready = this.#start(cancel.signal, launching, signal);
  }

  /** Resolves when it runs. Rejects, when nothing of it is left, with what went wrong or with the signal's reason. */
  readonly ready: Promise<void>;

  get record(): SandboxRecord {
    return this.#record;
  }

  get running(): boolean {
    return this.#state.kind === "running";
  }

  /** Why it ends; undefined as long as it does not. */
  get endReason(): EndReason | undefined {
    return this.#endReason;
  }

  /** Undefined unless it runs. */
  get channel(): GuestChannel | undefined {
    return this.#state.kind === "running" ? this.#state.guest.channel : undefined;
  }

  /** The end is `timeoutMs` from now. False when it does not run. */
  async setTimeout(timeoutMs: number): Promise<boolean> {
    return this.#setEnd((expiry) => expiry.set(timeoutMs));
  }

  /** The end is at least `timeoutMs` from now. False when it does not run. */
  async extendTimeout(timeoutMs: number): Promise<boolean> {
    return this.#setEnd((expiry) => expiry.extend(timeoutMs));
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
    const { logger, meter } = this.#options;
    if (state.kind !== "stopping") {
      this.#endReason = why;
      logger[why === "lost" ? "warn" : "info"]({ sandbox: this.#record.id, why, ...facts }, "a sandbox ends");
      meter.count("larder_sandboxes_ended_total", { why });
    }
    if (state.kind === "starting") state.cancel.abort(whyNotStarted(this.#record.id, why));
    if (state.kind === "running") state.expiry[Symbol.dispose]();
    const attempt = this.#remove(state).then(
      () => {
        this.#state = { kind: "gone" };
        this.#options.onGone();
      },
      (error: unknown) => {
        this.#state = { kind: "stopping", attempt: undefined };
        logger.error({ sandbox: this.#record.id, error }, "something of a sandbox could not be removed");
        throw error;
      },
    );
    this.#state = { kind: "stopping", attempt };
    return attempt;
  }

  async #launch(signal: AbortSignal): Promise<Guest> {
    const { records, launcher, how, accessToken, logger } = this.#options;
    const { id, build, vcpus, memoryBytes, envs, directory, socketDirectory, uid } = this.#record;
    try {
      await records.insert(this.#record);
      const order: LaunchOrder = {
        id,
        build,
        how,
        vcpus,
        memoryBytes,
        envs,
        accessToken,
        directory,
        socketDirectory,
        uid,
        onProcess: (process) => {
          this.#record = { ...this.#record, process };
          this.#processNoted = records.update(id, { process }).catch((error: unknown) => {
            logger.warn({ sandbox: id, error }, "the process of a sandbox could not be noted");
          });
        },
      };
      return await launcher.launch(order, signal);
    } finally {
      this.#options.place.started();
    }
  }

  async #start(cancelled: AbortSignal, launching: Promise<Guest>, signal: AbortSignal): Promise<void> {
    try {
      const guest = await launching;
      cancelled.throwIfAborted();
      signal.throwIfAborted();
      const changes = this.#run(guest);
      await this.#options.records.update(this.#record.id, changes);
      signal.throwIfAborted();
    } catch (error) {
      const reason: unknown = cancelled.aborted ? cancelled.reason : error;
      const ended = signal.aborted ? this.end("abandoned") : this.end("failed", { error });
      await ended.catch(() => "it has been logged, and the cause matters more");
      throw reason;
    }
  }

  /** From here on its time runs: waiting for the start costs the client nothing. */
  #run(guest: Guest) {
    const { clock, timeoutMs } = this.#options;
    const expiry = new Expiry(clock, timeoutMs, () => this.#endUnasked("expired"));
    this.#state = { kind: "running", guest, expiry };
    void guest.lost.then((lastWords) => {
      if (this.running) this.#endUnasked("lost", { lastWords });
    });
    const { channelSecret } = guest;
    const changes = { state: "running", startedAt: clock.now(), endAt: expiry.endAt, channelSecret } as const;
    this.#record = { ...this.#record, ...changes };
    return changes;
  }

  #endUnasked(why: EndReason, facts: object = {}): void {
    this.end(why, facts).catch(() => "it has been logged; whoever kills it tries again");
  }

  async #setEnd(change: (expiry: Expiry) => void): Promise<boolean> {
    if (this.#state.kind !== "running") return false;
    const { expiry } = this.#state;
    change(expiry);
    this.#record = { ...this.#record, endAt: expiry.endAt };
    await this.#options.records.update(this.#record.id, { endAt: expiry.endAt });
    return true;
  }

  async #remove(state: State): Promise<void> {
    const { records, launcher, logger, place, uid } = this.#options;
    const { id } = this.#record;
    await records.update(id, { state: "stopping" }).catch((error: unknown) => {
      logger.warn({ sandbox: id, error }, "the end of a sandbox could not be noted");
    });
    if (!(await this.#disposed(state))) await launcher.reap(this.#record);
    await this.#processNoted;
    await records.delete(id);
    uid?.[Symbol.dispose]();
    place[Symbol.dispose]();
  }

  /** True when the guest has removed all of itself. */
  async #disposed(state: State): Promise<boolean> {
    if (state.kind !== "starting" && state.kind !== "running") return false;
    try {
      const guest = state.kind === "running" ? state.guest : await state.launching;
      await guest[Symbol.asyncDispose]();
      return true;
    } catch (error) {
      if (state.kind === "running")
        this.#options.logger.warn({ sandbox: this.#record.id, error }, "a sandbox did not end in order");
      return false;
    }
  }
}

function whyNotStarted(id: string, why: EndReason): Failure {
  if (why === "closing") return new Failure("unavailable", "the daemon is stopping");
  return new Failure("conflict", `sandbox '${id}' was killed while it started`);
}
