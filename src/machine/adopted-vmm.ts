import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { BoundedLog } from "./bounded-log.ts";
import { consoleName, lastWordsName, type MachineSpec, markerOf } from "./machine-spec.ts";
import { findByArgument, isAlive, killByIdentity, type ProcessIdentity } from "../base/processes.ts";
import {
  lastWordsBytes,
  logBytesMax,
  type MachineExit,
  machineExit,
  removeSockets,
  type Vmm,
} from "./vmm-process.ts";

/** It is no child of this process, so nobody tells when it ends: it is looked at. */
const lookEveryMs = 250;
const endMsMax = 10_000;
const pollMs = 2;

/** The processes of a machine that an earlier program started, and that have outlived it. */
export class AdoptedVmm implements Vmm {
  readonly identity: ProcessIdentity;
  readonly exited: Promise<MachineExit>;
  readonly #spec: MachineSpec;
  readonly #clock: Clock;
  readonly #logs = new DisposableStack();
  readonly #words: BoundedLog | undefined;
  readonly #exit = Promise.withResolvers<MachineExit>();
  #timer: Disposable | undefined;
  #ending: Promise<void> | undefined;

  /** `identity` is alive, as far as is known. */
  constructor(spec: MachineSpec, identity: ProcessIdentity, clock: Clock) {
    this.#spec = spec;
    this.identity = identity;
    this.#clock = clock;
    this.exited = this.#exit.promise;
    this.#words = this.#reopen(lastWordsName);
    this.#reopen(consoleName);
    this.#look();
  }

  end(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  leave(): void {
    this.#timer?.[Symbol.dispose]();
    this.#logs.dispose();
  }

  async #end(): Promise<void> {
    using patience = deadline(this.#clock, endMsMax, `ending machine '${this.#spec.id}'`);
    killByIdentity(this.identity);
    // The watcher ends by itself after the VMM, unless it was stopped.
    for (;;) {
      const left = await findByArgument(markerOf(this.#spec.id));
      if (!isAlive(this.identity) && left.length === 0) break;
      for (const each of left) killByIdentity(each);
      await this.#clock.sleep(pollMs, patience.signal);
    }
    this.#settle();
    await removeSockets(this.#spec);
  }

  #look(): void {
    if (!isAlive(this.identity)) this.#settle();
    else this.#timer = this.#clock.after(lookEveryMs, () => this.#look());
  }

  #settle(): void {
    const words = this.#words?.tail(lastWordsBytes) ?? "";
    this.#exit.resolve({ ...machineExit({ code: null, signal: null, words }), adopted: true });
    this.leave();
  }

  /** A log is no reason to give a machine up: its VMM may have removed it. */
  #reopen(name: string): BoundedLog | undefined {
    const options = { bytesMax: logBytesMax, clock: this.#clock };
    try {
      return this.#logs.use(BoundedLog.reopen(path.join(this.#spec.directory, name), options));
    } catch {
      return undefined;
    }
  }
}
