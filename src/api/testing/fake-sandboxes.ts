import { Failure } from "../../base/failure.ts";
import type { GuestChannel, SandboxService } from "../ports.ts";
import type { CreateRequest } from "../../sandbox/create-request.ts";
import { openIngress } from "../../store/sandbox-records.ts";
import type { SandboxView } from "../../sandbox/sandbox-view.ts";
import { type Ingress, ingressOf } from "../../sandbox/ingress.ts";
import type { SandboxFilter, SandboxPage } from "../../sandbox/sandbox-filter.ts";
import type { Connected } from "../../sandbox/outcomes.ts";

/** Sandboxes without machines: enough of a life for the API to be tried on. */
export class FakeSandboxes implements SandboxService {
  /** What `create` was asked for, in order. */
  readonly asked: CreateRequest[] = [];
  readonly pauses: { readonly id: string; readonly memory: boolean }[] = [];
  /** Signals of creates under way. */
  readonly signals: AbortSignal[] = [];
  /** Thrown by the next create, once. */
  nextFailure: Error | undefined;
  /** While set, creates wait for it. */
  held: Promise<void> | undefined;
  /** Creates are done by the time their client leaves: its signal comes too late. */
  late = false;
  /** Told of each kill that ended something. */
  onKill: (id: string) => void = () => {};
  /** Stands for the guests of all sandboxes. */
  guest: GuestChannel;
  readonly #views = new Map<string, SandboxView>();
  #made = 0;

  constructor(channel: GuestChannel) {
    this.guest = channel;
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<SandboxView> {
    this.asked.push(request);
    this.signals.push(signal);
    const failure = this.nextFailure;
    this.nextFailure = undefined;
    if (failure !== undefined) throw failure;
    if (request.template !== "base")
      throw new Failure("not_found", `there is no template '${request.template}'`);
    await this.held;
    if (!this.late) signal.throwIfAborted();
    const startedAt = Date.UTC(2026, 0, 1) + this.#made++ * 1000;
    const view: SandboxView = {
      id: `i${String(this.#made).padStart(4, "0")}`,
      templateId: "t0base",
      alias: "base",
      metadata: request.metadata,
      startedAt,
      endAt: startedAt + request.timeoutMs,
      state: "running",
      cpuCount: 1,
      memoryMb: 512,
      diskMb: 10_240,
      agentVersion: "0.6.13",
      ...(request.secure ? { accessToken: "token" } : {}),
      allowInternet: request.allowInternet,
      lifecycle: request.lifecycle ?? { onTimeout: "kill", keepMemory: true, autoResume: false },
      ingress: request.ingress ?? openIngress,
      ...(request.ingress?.public === false ? { trafficToken: "traffic token" } : {}),
    };
    this.#views.set(view.id, view);
    return view;
  }

  async get(id: string): Promise<SandboxView> {
    const view = this.#views.get(id);
    if (view === undefined) throw new Failure("not_found", `there is no sandbox '${id}'`);
    return view;
  }

  async list(filter: SandboxFilter): Promise<SandboxPage> {
    const sign = filter.order === "asc" ? 1 : -1;
    const all = [...this.#views.values()].filter((view) => fits(view, filter));
    const sorted = all.sort((a, b) => sign * (a.startedAt - b.startedAt));
    const from = filter.after === undefined ? 0 : sorted.findIndex(({ id }) => id === filter.after) + 1;
    const sandboxes = sorted.slice(from, from + filter.limit);
    const last = sandboxes.at(-1);
    return from + filter.limit < sorted.length && last !== undefined
      ? { sandboxes, next: last.id }
      : { sandboxes };
  }

  async connect(id: string, { timeoutMs }: { timeoutMs: number }): Promise<Connected> {
    const view = await this.get(id);
    const resumed = view.state === "paused";
    const endAt = Math.max(view.endAt, view.startedAt + timeoutMs);
    this.#views.set(id, { ...view, state: "running", endAt });
    return { view: await this.get(id), resumed };
  }

  async pause(id: string, memory: boolean): Promise<void> {
    const view = await this.get(id);
    if (view.state === "paused") throw new Failure("conflict", `sandbox '${id}' is paused already`);
    this.pauses.push({ id, memory });
    this.#views.set(id, { ...view, state: "paused" });
  }

  async setInternetAccess(id: string, allowed: boolean): Promise<void> {
    const view = await this.get(id);
    this.#views.set(id, { ...view, allowInternet: allowed });
  }

  async setTimeout(id: string, timeoutMs: number): Promise<void> {
    const view = await this.get(id);
    this.#views.set(id, { ...view, endAt: view.startedAt + timeoutMs });
  }

  async kill(id: string): Promise<boolean> {
    const there = this.#views.delete(id);
    if (there) this.onKill(id);
    return there;
  }

  async reach(id: string, mayWake: (view: SandboxView) => boolean): Promise<GuestChannel> {
    const view = await this.get(id);
    if (view.state === "paused" && view.lifecycle.autoResume && mayWake(view))
      this.#views.set(id, { ...view, state: "running" });
    return this.channel(id);
  }

  channel(id: string): GuestChannel {
    if (this.#views.get(id)?.state !== "running")
      throw new Failure("not_found", `there is no sandbox '${id}'`);
    return this.guest;
  }

  ingress(id: string): Ingress {
    const view = this.#views.get(id);
    if (view === undefined) throw new Failure("not_found", `there is no sandbox '${id}'`);
    return ingressOf(view);
  }
}

function fits(view: SandboxView, filter: SandboxFilter): boolean {
  const { metadata = {}, states = ["running", "paused"], startedAfter = 0, template } = filter;
  if (template !== undefined && template !== view.templateId && template !== view.alias) return false;
  if (!states.includes(view.state) || view.startedAt < startedAfter) return false;
  return Object.entries(metadata).every(([key, value]) => view.metadata[key] === value);
}
