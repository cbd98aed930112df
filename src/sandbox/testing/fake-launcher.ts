import { PassThrough } from "node:stream";
import { Failure } from "../../base/failure.ts";
import type { Guest, Launcher, LaunchOrder, Remains } from "../launcher.ts";

/** One launch, in the hands of the test. */
export class FakeLaunch {
  readonly order: LaunchOrder;
  readonly #outcome = Promise.withResolvers<void>();
  isAlive = true;
  readonly #lost = Promise.withResolvers<string>();

  constructor(order: LaunchOrder, signal: AbortSignal) {
    this.order = order;
    signal.addEventListener("abort", () => this.#outcome.reject(signal.reason as Error), { once: true });
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
  /** How many removals, from now on, fail. */
  brokenRemovals = 0;
  #pids = 1000;

  async launch(order: LaunchOrder, signal: AbortSignal): Promise<Guest> {
    signal.throwIfAborted();
    this.there.add(order.id);
    order.onProcess({ pid: this.#pids++, startTime: "1" });
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
      isAlive: () => launch.isAlive,
      lost: launch.lost,
      [Symbol.asyncDispose]: async () => this.#remove(order.id),
    };
  }

  async reap({ id }: Remains): Promise<void> {
    this.#remove(id);
  }

  /** The launch of this sandbox. */
  of(id: string): FakeLaunch | undefined {
    return this.launches.find((launch) => launch.order.id === id);
  }

  #remove(id: string): void {
    if (this.brokenRemovals > 0) {
      this.brokenRemovals -= 1;
      throw new Failure("internal", "the process does not go away");
    }
    this.there.delete(id);
  }
}
