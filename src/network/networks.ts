import { stat } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random-id.ts";
import { Network, type NetworkLink, type NetworkOptions } from "./network.ts";
import { removeNetwork } from "./remains.ts";
import { type Surroundings, sameSurroundings } from "./surroundings.ts";

export interface NetworksOptions {
  /** Of the daemon's sockets; gets a directory for each network. */
  readonly directory: string;
  /** Users that networks' processes run as; only a root daemon has some to give. */
  readonly lendUser: (() => LentUser) | undefined;
  /** The user of a network that is there already; not among those to be lent since before any was. */
  readonly retakeUser?: ((uid: number) => LentUser | undefined) | undefined;
  /** How many are made beforehand. */
  readonly readyMax: number;
  readonly surroundings: () => Surroundings;
  /** Makes one; for tests. */
  readonly make?: (options: NetworkOptions, signal: AbortSignal) => Promise<AnyNetwork>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

export interface LentUser extends Disposable {
  readonly uid: number;
}

/** A sandbox's network. Disposing of it ends it. */
export interface LentNetwork extends AsyncDisposable {
  /** Of its directory, which lies beside those of the sandboxes' sockets. */
  readonly name: string;
  /** Undefined when its VMM has it already. */
  readonly link: NetworkLink | undefined;
  /** Numbers of the processes that work for it. */
  readonly processes: readonly number[];
  /** To be called when the sandbox runs: the next one is made only then, so that it costs nobody's start. */
  attached(): void;
}

type AnyNetwork = Pick<Network, "directory" | "link" | "processes" | "attached" | "close">;

interface Made {
  readonly network: AnyNetwork;
  readonly user: LentUser | undefined;
  readonly surroundings: Surroundings;
}

/** The networks of this daemon's sandboxes, with a few that wait for the next ones. */
export class Networks implements AsyncDisposable {
  readonly #options: NetworksOptions;
  readonly #ready: Made[] = [];
  readonly #names = new Set<string>();
  readonly #closing = new AbortController();
  #filling: Promise<void> = Promise.resolve();

  private constructor(options: NetworksOptions) {
    this.#options = options;
  }

  /** Makes the first one: throws `unavailable` or `denied`, with the reason, where this host can have none. */
  static async open(options: NetworksOptions, signal: AbortSignal): Promise<Networks> {
    const networks = new Networks(options);
    networks.#ready.push(await networks.#make(signal));
    networks.#show();
    return networks;
  }

  /** Names of the directories that belong to somebody. */
  get names(): string[] {
    return [...this.#names];
  }

  /** One that nobody has used before. Throws `unavailable` when none can be made. */
  async take(signal: AbortSignal): Promise<LentNetwork> {
    this.#closing.signal.throwIfAborted();
    const made = (await this.#fromReady()) ?? (await this.#make(signal));
    this.#show();
    const attached = () => {
      made.network.attached();
      this.fill();
    };
    const name = path.basename(made.network.directory);
    const { link, processes } = made.network;
    return { name, link, processes, attached, [Symbol.asyncDispose]: () => this.#end(made) };
  }

  /** The one that a former daemon's sandbox lives in. */
  async retake(name: string): Promise<LentNetwork> {
    const directory = path.join(this.#options.directory, name);
    const user = this.#options.retakeUser?.((await stat(directory)).uid);
    this.#names.add(name);
    this.#show();
    const end = async () => {
      await removeNetwork(directory, this.#options.clock);
      user?.[Symbol.dispose]();
      this.#names.delete(name);
    };
    const attached = () => this.fill();
    return { name, link: undefined, processes: [], attached, [Symbol.asyncDispose]: end };
  }

  /** Makes what is missing of those that wait, one after the other and behind everybody's back. */
  fill(): void {
    this.#filling = this.#filling.then(async () => {
      const { signal } = this.#closing;
      try {
        while (!signal.aborted && this.#ready.length < this.#options.readyMax) {
          this.#ready.push(await this.#make(signal));
          this.#show();
        }
      } catch (error) {
        if (!signal.aborted) this.#options.logger.warn({ error }, "no network could be made beforehand");
      }
    });
  }

  /** Ends those that wait; the others end with their sandboxes. */
  async close(): Promise<void> {
    this.#closing.abort(new Failure("unavailable", "the daemon is stopping"));
    await this.#filling;
    await Promise.all(this.#ready.splice(0).map((made) => this.#end(made)));
    this.#show();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The first one that still fits the host; the others are ended. */
  async #fromReady(): Promise<Made | undefined> {
    for (;;) {
      const made = this.#ready.shift();
      if (made === undefined) return undefined;
      if (sameSurroundings(made.surroundings, this.#options.surroundings())) return made;
      await this.#end(made);
    }
  }

  async #make(signal: AbortSignal): Promise<Made> {
    const { directory, lendUser, clock, random, logger } = this.#options;
    const { make = (...all) => Network.make(...all) } = this.#options;
    const surroundings = this.#options.surroundings();
    const name = `net-${randomId(random, 12)}`;
    if (!surroundings.uplink) logger.warn({ network: name }, "the host has no way out, so a guest has none");
    using undo = new DisposableStack();
    const user = lendUser === undefined ? undefined : undo.use(lendUser());
    this.#names.add(name);
    undo.defer(() => this.#names.delete(name));
    const options: NetworkOptions = {
      directory: path.join(directory, name),
      uid: user?.uid,
      denied: surroundings.denied,
      uplink: surroundings.uplink,
      clock,
    };
    const network = await make(options, signal);
    undo.move();
    return { network, user, surroundings };
  }

  async #end({ network, user }: Made): Promise<void> {
    await network.close();
    user?.[Symbol.dispose]();
    this.#names.delete(path.basename(network.directory));
  }

  #show(): void {
    this.#options.meter.gauge("larder_networks", this.#names.size - this.#ready.length, { state: "lent" });
    this.#options.meter.gauge("larder_networks", this.#ready.length, { state: "ready" });
  }
}
