import { chown, mkdir, rm } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { ignore } from "../base/abortable.ts";
import { deadline } from "../base/deadline.ts";
import { isAlive, type ProcessIdentity } from "../base/processes.ts";
import { tapName } from "./addresses.ts";
import { endProcesses } from "./end-processes.ts";
import { Holder } from "./holder.ts";
import { networkRules } from "./network-rules.ts";
import { removeNetwork } from "./remains.ts";
import { startUplink } from "./uplink.ts";

export interface NetworkOptions {
  /** Of this network alone, and not there yet; its path is what its processes are found by. */
  readonly directory: string;
  /** The user that its processes run as, where the daemon is root. */
  readonly uid: number | undefined;
  /** What its guest may not reach. */
  readonly denied: readonly string[];
  /** False where the host itself is connected to nothing: then neither is the network. */
  readonly uplink: boolean;
  readonly clock: Clock;
}

/** What a VMM is told of a network. */
export interface NetworkLink {
  readonly tap: string;
  readonly netNamespace: string;
  /** Has to be entered too by who is not root. */
  readonly userNamespace: string;
}

/** How long making one may take: a few milliseconds a step, on a host that has time. */
const makeMsMax = 30_000;

/**
 * A network namespace for one sandbox, with an interface for its VMM, rules of what may pass, and an uplink into the
 * host's network. It consists of processes alone: when they have ended nothing is left of it.
 *
 *   made ──attached──▶ held by the VMM and the uplink
 *     └──── close ────────┴───▶ gone
 */
export class Network implements AsyncDisposable {
  readonly directory: string;
  readonly link: NetworkLink;
  readonly #holder: Holder;
  readonly #uplink: ProcessIdentity | undefined;
  readonly #clock: Clock;

  private constructor(
    { directory, clock }: NetworkOptions,
    holder: Holder,
    link: NetworkLink,
    uplink: ProcessIdentity | undefined,
  ) {
    this.directory = directory;
    this.link = link;
    this.#holder = holder;
    this.#uplink = uplink;
    this.#clock = clock;
  }

  /** Resolves when a VMM may use it. Throws `unavailable` with what a program said; nothing is left then. */
  static async make(options: NetworkOptions, signal: AbortSignal): Promise<Network> {
    const { directory, uid, denied, clock } = options;
    using patience = deadline(clock, makeMsMax, "making a network", signal);
    let holder: Holder | undefined;
    try {
      await mkdir(directory, { mode: 0o700 });
      if (uid !== undefined) await chown(directory, uid, uid);
      holder = new Holder({ marker: directory, uid, rules: networkRules(denied) });
      await holder.says("made", patience.signal);
      const link = linkOf(holder);
      const ready = holder.says("ready", patience.signal);
      ready.catch(ignore); // it is waited for below, unless something else fails before
      const place = { directory, ...link };
      const uplink = options.uplink ? await startUplink(place, uid, patience.signal) : undefined;
      await ready;
      return new Network(options, holder, link, uplink);
    } catch (error) {
      await holder?.end();
      await removeNetwork(directory, clock);
      throw error;
    }
  }

  /** What goes on working for the sandbox. */
  get processes(): number[] {
    return this.#uplink === undefined ? [] : [this.#uplink.pid];
  }

  /** To be called when a VMM lives in it: from then on it no longer ends with this program. */
  attached(): void {
    this.#holder.release();
  }

  /** Ends it. To be called after its VMM has ended; may be called twice. */
  async close(): Promise<void> {
    await this.#holder.end();
    const uplink = this.#uplink;
    const left = async () => (uplink !== undefined && isAlive(uplink) ? [uplink] : []);
    await endProcesses(left, this.#clock);
    await rm(this.directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function linkOf({ pid }: Holder): NetworkLink {
  const namespace = (kind: string) => `/proc/${pid}/ns/${kind}`;
  return { tap: tapName, netNamespace: namespace("net"), userNamespace: namespace("user") };
}
