import type { Logger } from "../base/logger.ts";
import type { SandboxRecord, SandboxRecords } from "../store/sandbox-records.ts";
import type { Berth } from "./berths.ts";
import type { Guest, Launcher, LaunchOrder, LeftMachine, StartedMachine } from "./launcher.ts";

export interface TenancyOptions {
  readonly launcher: Launcher;
  readonly records: SandboxRecords;
  readonly accessToken: string | undefined;
  readonly logger: Logger;
  /** The record as it is now, and how to change it. */
  readonly record: () => SandboxRecord;
  readonly change: (part: Pick<SandboxRecord, "uid"> | Pick<SandboxRecord, "process">) => void;
}

export interface Awakening {
  readonly how: () => Promise<LaunchOrder["how"]>;
  /** How long it is to live from the moment on in which it runs; asked in that moment. */
  readonly timeoutMs: () => number;
  /** Its machine runs already. */
  readonly left?: LeftMachine;
  /** It waits already, to be woken; what was started for it ends with an awakening that fails. */
  readonly started?: StartedMachine | undefined;
  /** Takes what it needs of the node; given back when it sleeps or is gone. */
  readonly berth: (signal: AbortSignal) => Promise<Berth>;
}

/** What one sandbox has of the node while it is awake: a berth, a machine, directories. */
export class Tenancy {
  readonly #options: TenancyOptions;
  #berth: Berth | undefined;
  #processNoted: Promise<void> = Promise.resolve();
  /** Something of the last machine could not be removed. */
  #untidy = false;

  constructor(options: TenancyOptions) {
    this.#options = options;
  }

  /** Takes a berth and launches a machine in it; `note` writes the record before anything is there. */
  async begin(awakening: Awakening, note: () => Promise<void>, signal: AbortSignal): Promise<Guest> {
    try {
      return await this.#begin(awakening, note, signal);
    } catch (error) {
      await awakening.started?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Ends the machine, and gives back the berth. What cannot be removed is tried again before the next one. */
  async pauseBetween(guest: Guest | undefined): Promise<void> {
    const { launcher, logger, record } = this.#options;
    try {
      if (guest === undefined) await launcher.reap(record());
      else await guest[Symbol.asyncDispose]();
      this.#untidy = false;
    } catch (error) {
      this.#untidy = true;
      logger.warn({ sandbox: record().id, error }, "a sandbox that sleeps has left something behind");
    }
    await this.#processNoted;
    this.leave();
  }

  /** Ends the machine, or what is left of it, for good. Throws when something could not be removed. */
  async end(guest: Guest | Promise<Guest> | undefined): Promise<void> {
    const { launcher, record } = this.#options;
    const disposed = guest === undefined ? !this.#untidy : await this.#disposed(guest);
    if (!disposed) {
      this.#untidy = true;
      await launcher.reap(record());
      this.#untidy = false;
    }
    await this.#processNoted;
  }

  /** Gives back the berth, when nothing is left. */
  leave(): void {
    this.#berth?.[Symbol.dispose]();
    this.#berth = undefined;
  }

  async #begin(
    { how, berth, left, started }: Awakening,
    note: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<Guest> {
    const { launcher, record, change } = this.#options;
    const way = await how();
    const own = await berth(signal);
    this.#berth = own;
    try {
      if (own.uid !== undefined) change({ uid: own.uid });
      await note();
      if (this.#untidy) await launcher.reap(record());
      this.#untidy = false;
      const order = { ...this.#order(way), ...(left && { left }) };
      return await (started === undefined ? launcher.launch(order, signal) : started.wake(order, signal));
    } finally {
      own.started();
    }
  }

  /** True when the guest has removed all of itself. */
  async #disposed(guest: Guest | Promise<Guest>): Promise<boolean> {
    try {
      await (await guest)[Symbol.asyncDispose]();
      return true;
    } catch (error) {
      const { logger, record } = this.#options;
      logger.debug({ sandbox: record().id, error }, "a sandbox did not end in order");
      return false;
    }
  }

  #order(how: LaunchOrder["how"]): LaunchOrder {
    const { records, logger, record, change, accessToken } = this.#options;
    const { id, templateId, build, vcpus, memoryBytes, envs, allowInternet } = record();
    const { directory, socketDirectory, uid } = record();
    const onProcess: LaunchOrder["onProcess"] = (process) => {
      change({ process });
      // One that was woken runs as another user than before: whoever takes it over must know whose its files are.
      const whose = uid === undefined ? {} : { uid };
      this.#processNoted = records.update(id, { process, ...whose }).catch((error: unknown) => {
        logger.warn({ sandbox: id, error }, "the process of a sandbox could not be noted");
      });
    };
    const places = { directory, socketDirectory, uid };
    const machine = { id, build, how, vcpus, memoryBytes, allowInternet, ...places };
    return { ...machine, templateId, envs, accessToken, onProcess };
  }
}
