import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { abortable } from "../../base/abortable.ts";
import { Failure } from "../../base/failure.ts";
import type { BuildParts } from "../../build/make-build.ts";
import type {
  Guest,
  Launcher,
  LaunchOrder,
  ProcessIdentity,
  Remains,
  StartedMachine,
  StartOrder,
} from "../launcher.ts";

/** One launch, in the hands of the test. */
export class FakeLaunch {
  readonly order: LaunchOrder;
  readonly #outcome = Promise.withResolvers<void>();
  isAlive = true;
  isStalled = false;
  readonly #lost = Promise.withResolvers<string>();

  constructor(order: LaunchOrder, signal: AbortSignal) {
    this.order = order;
    if (order.allowInternet) this.internet = true;
    signal.addEventListener("abort", () => this.#outcome.reject(signal.reason as Error), { once: true });
  }

  /** Stopped by a capture, and not told to go on. */
  stopped = false;
  /** Captures that began; each waits for this, and then fails with what is thrown. */
  captures = 0;
  captured: (signal: AbortSignal) => Promise<void> = async () => {};
  /** Whether the way to the internet is open; undefined when there is none. */
  internet: boolean | undefined;
  /** It does not do what it is told: to run again, or with its network card. */
  stuck = false;

  async capture(signal: AbortSignal): Promise<BuildParts> {
    if (!this.isAlive) throw new Failure("unavailable", "the machine is no more");
    assert.equal(this.stopped, false, "one capture at a time");
    this.stopped = true;
    this.captures += 1;
    await abortable(this.captured(signal), signal);
    return { images: {}, metafile: Buffer.from("{}"), inputs: [] };
  }

  setInternet(open: boolean): void {
    if (!this.isAlive || this.stuck) throw new Failure("unavailable", "the machine does not answer");
    this.internet = open;
  }

  goOn(): void {
    if (!this.isAlive || this.stuck) throw new Failure("unavailable", "the machine does not go on");
    this.stopped = false;
  }

  /** The agent answers. */
  answer(): void {
    this.#outcome.resolve();
  }

  fail(failure = new Failure("unavailable", "the bucket is away")): void {
    this.#outcome.reject(failure);
  }

  /** The virtual machine ends by itself. */
  die(lastWords: string): void {
    this.isAlive = false;
    this.#lost.resolve(lastWords);
  }

  get outcome(): Promise<void> {
    return this.#outcome.promise;
  }

  get lost(): Promise<string> {
    return this.#lost.promise;
  }
}

/** Launches nothing, and keeps account of what would be there. */
export class FakeLauncher implements Launcher {
  /** Everything that was launched, in order. */
  readonly launches: FakeLaunch[] = [];
  /** Ids of sandboxes of which something is there. */
  readonly there = new Set<string>();
  /** Launches answer by themselves. */
  automatic = false;
  /** What machines are said to be; one that is not there unless a test says otherwise. */
  process: ProcessIdentity | undefined;
  /** How many removals, from now on, fail. */
  brokenRemovals = 0;
  #pids = 1000;

  /** Those that were started and are not anybody's yet, by id; each can be ended by the test. */
  readonly started = new Map<string, { readonly order: StartOrder; readonly die: () => void }>();
  /** Those of them that doze. */
  readonly dozing = new Set<string>();
  /** Thrown when the next one shall doze; nothing of it is left then. */
  nextDozeFailure: Failure | undefined;
  /** Thrown by the next start. */
  nextStartFailure: Failure | undefined;

  async launch(order: LaunchOrder, signal: AbortSignal): Promise<Guest> {
    signal.throwIfAborted();
    assert.equal(this.there.has(order.id), order.left !== undefined, "a sandbox never has two machines");
    this.there.add(order.id);
    return await this.#wake(order, signal);
  }

  async start(order: StartOrder, signal: AbortSignal): Promise<StartedMachine> {
    signal.throwIfAborted();
    const failure = this.nextStartFailure;
    this.nextStartFailure = undefined;
    if (failure !== undefined) throw failure;
    assert.ok(!this.there.has(order.id), "a sandbox never has two machines");
    this.there.add(order.id);
    const exited = Promise.withResolvers<string>();
    this.started.set(order.id, { order, die: () => exited.resolve("it died while it waited") });
    let woken = false;
    return {
      doze: async () => {
        const failure = this.nextDozeFailure;
        if (failure === undefined) return void this.dozing.add(order.id);
        this.nextDozeFailure = undefined;
        this.started.delete(order.id);
        this.#remove(order.id);
        throw failure;
      },
      exited: exited.promise,
      wake: async (whole, signal) => {
        assert.deepEqual([woken, whole.id, whole.directory], [false, order.id, order.directory]);
        woken = this.started.delete(order.id);
        return await this.#wake(whole, signal);
      },
      [Symbol.asyncDispose]: async () => {
        if (this.started.delete(order.id)) this.#remove(order.id);
      },
    };
  }

  async #wake(order: LaunchOrder, signal: AbortSignal): Promise<Guest> {
    order.onProcess(this.process ?? { pid: this.#pids++, startTime: "1" });
    const launch = new FakeLaunch(order, signal);
    this.launches.push(launch);
    if (this.automatic) launch.answer();
    try {
      await launch.outcome;
    } catch (error) {
      this.#remove(order.id);
      throw error;
    }
    return {
      channel: {
        request: async () => ({ status: 200, headers: {}, body: new PassThrough().end(order.id) }),
        connectPort: async () => new PassThrough(),
      },
      channelSecret: Buffer.alloc(16, 1),
      capture: (_what, signal) => launch.capture(signal),
      internet: order.allowInternet ? { set: async (open) => launch.setInternet(open) } : undefined,
      goOn: async () => launch.goOn(),
      isAlive: () => launch.isAlive,
      isStalled: () => launch.isStalled,
      lost: launch.lost,
      leave: async () => {},
      [Symbol.asyncDispose]: async () => {
        this.#remove(order.id);
        launch.die("it was ended");
      },
    };
  }

  async reap({ id }: Remains): Promise<void> {
    this.#remove(id);
  }

  /** The newest launch of this sandbox. */
  of(id: string): FakeLaunch | undefined {
    return this.launches.findLast((launch) => launch.order.id === id);
  }

  #remove(id: string): void {
    if (this.brokenRemovals > 0) {
      this.brokenRemovals -= 1;
      throw new Failure("internal", "the process does not go away");
    }
    this.there.delete(id);
  }
}
