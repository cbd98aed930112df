import type { Readable, Duplex } from "node:stream";
import type { CreateRequest } from "../sandbox/create-request.ts";
import type { ForkOutcome, SnapshotView } from "../sandbox/snapshots.ts";
import type { SnapshotFilter } from "../store/snapshot-records.ts";
import type { CollectionWish } from "../template/collect-garbage.ts";
import type { SandboxView } from "../sandbox/sandbox-view.ts";
import type { Ingress } from "../sandbox/ingress.ts";
import type { Connected } from "../sandbox/outcomes.ts";
import type { SandboxFilter, SandboxPage } from "../sandbox/sandbox-filter.ts";

/**
 * What the API needs of the rooms below it, and nothing more. `sandbox/` and `template/` offer more than this;
 * the fakes of the tests offer exactly this.
 */

/** A request or an answer of the agent in the guest. */
export type HeaderFields = Record<string, string | string[]>;

export interface AgentRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderFields;
  readonly body?: Readable;
}

export interface AgentAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
}

export interface GuestChannel {
  request(request: AgentRequest, signal: AbortSignal): Promise<AgentAnswer>;
  /** Throws `not_found` or `unavailable` when nobody listens there. */
  connectPort(port: number, signal: AbortSignal): Promise<Duplex>;
}

export interface ConnectWish {
  readonly timeoutMs: number;
  /** One that sleeps is started from its disk. */
  readonly reboot: boolean;
}

/** All that name an id throw `not_found` when there is no such sandbox. */
export interface SandboxService {
  /** Resolves when the sandbox can be used; aborting leaves nothing behind. */
  create(request: CreateRequest, signal: AbortSignal): Promise<SandboxView>;
  get(id: string): Promise<SandboxView>;
  list(filter: SandboxFilter): Promise<SandboxPage>;
  /** Wakes it if it sleeps; extends the life to at least `timeoutMs` from now, never shortens it. */
  connect(id: string, wish: ConnectWish, signal: AbortSignal): Promise<Connected>;
  /** Throws `conflict` when it is paused already. With `memory` it will go on where it was. */
  pause(id: string, memory: boolean): Promise<void>;
  /** Gives it a way to the internet, or takes it. Throws `conflict` where that cannot be done while it runs. */
  setInternetAccess(id: string, allowed: boolean, signal: AbortSignal): Promise<void>;
  /** Sets the end to `timeoutMs` from now, sooner or later than it was. */
  setTimeout(id: string, timeoutMs: number): Promise<void>;
  /** False when there is no such sandbox. Resolves when nothing of it is left. */
  kill(id: string): Promise<boolean>;
  channel(id: string): GuestChannel;
  ingress(id: string): Ingress;
  /** The same for traffic from outside: one that sleeps may be woken by it, for whoever `mayWake`. */
  reach(id: string, mayWake: (view: SandboxView) => boolean, signal: AbortSignal): Promise<GuestChannel>;
}

/** What others start from. */
export interface SnapshotService {
  create(sandboxId: string, name: string | undefined, signal: AbortSignal): Promise<SnapshotView>;
  list(
    filter: SnapshotFilter,
  ): Promise<{ readonly snapshots: readonly SnapshotView[]; readonly next?: string }>;
  /** False when there is no such snapshot. */
  remove(reference: string): Promise<boolean>;
  fork(
    sandboxId: string,
    wish: { readonly count: number; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<readonly ForkOutcome[]>;
}

/** One thing that happened to a sandbox. */
export interface SandboxLogEntry {
  readonly atMs: number;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

export interface SandboxLogs {
  /** The last of what is known, the oldest first; empty when nothing is. */
  of(id: string): Promise<readonly SandboxLogEntry[]>;
}

export interface TemplateView {
  readonly id: string;
  readonly names: readonly string[];
  readonly buildId: string;
  readonly cpuCount: number;
  readonly memoryMb: number;
  readonly diskMb: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly agentVersion: string;
}

export interface TemplateTagView {
  readonly tag: string;
  readonly buildId: string;
  readonly createdAt: number;
}

export interface TemplateService {
  list(): Promise<readonly TemplateView[]>;
  /** By id or name; throws `not_found`. */
  get(idOrName: string): Promise<TemplateView>;
  /** False when there is none. Sandboxes of it live on. */
  remove(idOrName: string): Promise<boolean>;
  /** By name, each with the build that it leads to. Throws `not_found`. */
  tags(idOrName: string): Promise<readonly TemplateTagView[]>;
  /** Makes tags lead where `NAME:TAG` does; resolves with that build. Throws `not_found`. */
  tag(target: string, tags: readonly string[]): Promise<string>;
  /** Throws `not_found` for a template that is none; silent about tags that are not there. */
  untag(idOrName: string, tags: readonly string[]): Promise<void>;
}

export interface KeyChecker {
  /** True when this key may use the API. Takes the same time for every wrong key. */
  allows(key: string): Promise<boolean>;
}

/** What an operator may see of the node, as plain JSON. */
export interface Inspect {
  report(): Promise<object>;
}

/** What an operator may do to the template cache. All but `evict` throw `not_found` for a build that is not here. */
export interface Admin {
  clearBackoffs(): number;
  /** All that is known of one build, as plain JSON. */
  describe(build: string): object;
  /** False when the build is leased or pinned, or not here. */
  evict(build: string): Promise<boolean>;
  /** Reads again what is kept of a build, and says how much of it was damaged. */
  verify(build: string, signal: AbortSignal): Promise<{ readonly chunks: number; readonly damaged: number }>;
  pin(build: string): Promise<void>;
  unpin(build: string): Promise<void>;
  /** Removes from bucket and shelf what nothing leads to; resolves with what that was, as plain JSON. */
  collectGarbage(wish: CollectionWish, signal: AbortSignal): Promise<object>;
}

/** The page at `/metrics`. */
export interface Exposition {
  readonly contentType: string;
  text(): Promise<string>;
}
