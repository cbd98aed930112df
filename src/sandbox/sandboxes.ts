import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { randomId } from "../base/random-id.ts";
import type { Random } from "../base/random.ts";
import path from "node:path";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import type { Store } from "../store/store.ts";
import type { FoundTemplate } from "../store/template-records.ts";
import { Admission, type AdmissionLimits, type Place } from "./admission.ts";
import { type ChosenBuild, chooseBuild, type HostShape } from "./choose-build.ts";
import { checkLimit, checkRequest, checkTimeout, type CreateRequest } from "./create-request.ts";
import type { GuestChannel, Launcher } from "./launcher.ts";
import { type EndReason, Sandbox } from "./sandbox.ts";
import { type SandboxView, viewOf } from "./sandbox-view.ts";
import { accessTokenOf } from "./tokens.ts";
import type { UidRange } from "./uid-range.ts";

export interface SandboxesOptions {
  readonly store: Pick<Store, "settings" | "templates" | "sandboxes">;
  readonly launcher: Launcher;
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

export interface SandboxFilter {
  /** All of these pairs must be there. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** All, unless said. */
  readonly states?: readonly SandboxView["state"][];
  /** Milliseconds since the epoch, inclusive. */
  readonly startedAfter?: number;
  /** Id or name. */
  readonly template?: string;
  readonly order: "asc" | "desc";
  /** 1 … 100. */
  readonly limit: number;
  /** What the former page gave as `next`. */
  readonly after?: string;
}

export interface SandboxPage {
  readonly sandboxes: readonly SandboxView[];
  readonly next?: string;
}

/** All sandboxes of this node. What names an unknown id throws `not_found`. */
export class Sandboxes implements AsyncDisposable {
  readonly #options: SandboxesOptions;
  readonly #admission: Admission;
  readonly #live = new Map<string, Sandbox>();
  readonly #creates = new Set<Promise<SandboxView>>();
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

  async get(id: string): Promise<SandboxView> {
    return this.#view(this.#running(id).record);
  }

  /** One page, by start time. A token stays good whatever comes and goes. */
  async list(filter: SandboxFilter): Promise<SandboxPage> {
    checkLimit(filter.limit);
    const states = (filter.states ?? ["running"]).filter((state) => state === "running");
    const { records, next } = await this.#options.store.sandboxes.page({ ...filter, states });
    const sandboxes = records
      .filter(({ id }) => this.#live.get(id)?.running === true)
      .map((record) => this.#view(record));
    return next === undefined ? { sandboxes } : { sandboxes, next };
  }

  /** Extends the life to at least `timeoutMs` from now, never shortens it. Throws `conflict` while it ends. */
  async connect(id: string, timeoutMs: number): Promise<SandboxView> {
    checkTimeout(timeoutMs);
    if (this.#live.get(id)?.endReason !== undefined)
      throw new Failure("conflict", `sandbox '${id}' is ending`);
    const sandbox = this.#running(id);
    await sandbox.extendTimeout(timeoutMs);
    return this.#view(sandbox.record);
  }

  /** Sets the end to `timeoutMs` from now, sooner or later than it was. */
  async setTimeout(id: string, timeoutMs: number): Promise<void> {
    checkTimeout(timeoutMs);
    await this.#running(id).setTimeout(timeoutMs);
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

  /** What is there, for operators: starting and ending ones too. */
  inspect(): object {
    const sandboxes = [...this.#live.values()].map(({ record, running, endReason }) => ({
      id: record.id,
      state: running ? "running" : endReason === undefined ? "starting" : "stopping",
      build: record.build,
      pid: record.process?.pid,
      directory: record.directory,
      socketDirectory: record.socketDirectory,
    }));
    return { sandboxes, places: this.#admission.inside, waiting: this.#admission.waiting };
  }

  /** Ends all of them and takes no more. What could not be removed has been logged; the next start tries again. */
  async close(): Promise<void> {
    this.#closing.abort(new Failure("unavailable", "the daemon is stopping"));
    const why: EndReason = "closing";
    await Promise.allSettled([...this.#creates, ...[...this.#live.values()].map((each) => each.end(why))]);
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
    const entering = this.#admission.enter(chosen.build.memoryBytes, signal);
    this.#show();
    const place = await entering;
    meter.observe("larder_create_step_seconds", (clock.monotonic() - began) / 1000, { step: "admission" });
    const sandbox = this.#begin(request, found, chosen, place, signal);
    if (chosen.how === "boot") {
      const facts = { sandbox: sandbox.record.id, template: found.template.name, because: chosen.because };
      logger.warn(facts, "a sandbox is booted from its disk instead of restored");
    }
    await sandbox.ready;
    meter.observe("larder_create_seconds", (clock.monotonic() - began) / 1000);
    return this.#view(sandbox.record);
  }

  #begin(
    request: CreateRequest,
    found: FoundTemplate,
    chosen: ChosenBuild,
    place: Place,
    signal: AbortSignal,
  ): Sandbox {
    const { store, launcher, uids, clock, logger, meter } = this.#options;
    using undo = new DisposableStack();
    undo.use(place);
    const uid = uids === undefined ? undefined : undo.use(uids.take());
    const record = this.#recordOf(request, found, chosen, uid?.uid);
    const sandbox = new Sandbox(
      {
        record,
        how: chosen.how,
        accessToken: request.secure ? accessTokenOf(store.settings.tokenSeed, record.id) : undefined,
        timeoutMs: request.timeoutMs,
        place,
        uid,
        onGone: () => {
          this.#live.delete(record.id);
          this.#show();
        },
        launcher,
        records: store.sandboxes,
        clock,
        logger,
        meter,
      },
      signal,
    );
    this.#live.set(record.id, sandbox);
    undo.move();
    return sandbox;
  }

  #recordOf(
    request: CreateRequest,
    { template }: FoundTemplate,
    { build }: ChosenBuild,
    uid: number | undefined,
  ): SandboxRecord {
    const { random, clock, directory, socketDirectory } = this.#options;
    // A letter first: the id is a label of host names.
    const id = `i${randomId(random, 20)}`;
    return {
      id,
      state: "starting",
      templateId: template.id,
      templateName: template.name,
      build: build.id,
      vcpus: build.vcpus,
      memoryBytes: build.memoryBytes,
      diskBytes: build.diskBytes,
      metadata: request.metadata,
      envs: request.envs,
      secure: request.secure,
      allowInternet: request.allowInternet,
      startedAt: clock.now(),
      endAt: clock.now() + request.timeoutMs,
      directory: path.join(directory, id),
      socketDirectory: path.join(socketDirectory, id),
      ...(uid === undefined ? {} : { uid }),
    };
  }

  #running(id: string): Sandbox {
    const sandbox = this.#live.get(id);
    if (sandbox?.running !== true) throw noSuchSandbox(id);
    return sandbox;
  }

  #view(record: SandboxRecord): SandboxView {
    return viewOf(record, this.#options.agentVersion, this.#options.store.settings.tokenSeed);
  }

  #show(): void {
    this.#options.meter.gauge("larder_sandboxes", this.#live.size);
    this.#options.meter.gauge("larder_creates_waiting", this.#admission.waiting);
  }
}

function noSuchSandbox(id: string): Failure {
  return new Failure("not_found", `there is no sandbox '${id}'`);
}
