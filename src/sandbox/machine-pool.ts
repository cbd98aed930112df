import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import type { Launcher, StartedMachine, StartOrder } from "./launcher.ts";
import { newPlaces, type Places } from "./new-places.ts";
import type { LentUid, UidRange } from "./uid-range.ts";

export interface MachinePoolOptions {
  readonly launcher: Pick<Launcher, "start">;
  /** How many machines wait for each kind of sandbox that is asked for; 0: none. */
  readonly machinesMax: number;
  readonly directory: string;
  readonly socketDirectory: string;
  readonly uids?: UidRange;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** What a machine must have been started for to be anybody's. */
export type MachineKind = Pick<StartOrder, "build" | "vcpus" | "memoryBytes" | "allowInternet">;

/** A machine that waits, and what is its own. */
export interface PooledMachine extends Places {
  readonly machine: StartedMachine;
  readonly uid: LentUid | undefined;
}

/** Kinds of which machines wait; the one that was asked for least recently gives way. */
const kindsMax = 4;
/** A kind that nobody has asked for in so long keeps no machines, and no lease on its build. */
const idleMs = 600_000;
/** Not at once: whoever has just got a sandbox begins to work in it. */
const fillAfterMs = 1000;
/** Starting one is a matter of a second, or something is wrong. */
const startMsMax = 60_000;

interface Kept {
  readonly kind: MachineKind;
  readonly waiting: PooledMachine[];
  idle: Disposable;
}

/** Machines that were started before anybody asked for a sandbox: whoever takes one has waited for less. */
export class MachinePool {
  readonly #options: MachinePoolOptions;
  /** By kind, the least recently asked for first. */
  readonly #kinds = new Map<string, Kept>();
  readonly #closing = new AbortController();
  #soon: Disposable | undefined;
  #filling: Promise<void> | undefined;
  readonly #ends = new Set<Promise<void>>();

  constructor(options: MachinePoolOptions) {
    this.#options = options;
  }

  /** Whose directories and processes are those of machines that wait. */
  get ids(): string[] {
    return [...this.#kinds.values()].flatMap(({ waiting }) => waiting.map(({ id }) => id));
  }

  /** One of this kind, if there is one; it is the caller's. From now on some of this kind are kept. */
  take(kind: MachineKind): PooledMachine | undefined {
    const { machinesMax, meter } = this.#options;
    if (machinesMax === 0 || this.#closing.signal.aborted) return undefined;
    const taken = this.#ask(kind).waiting.shift();
    meter.count("larder_pool_takes_total", { outcome: taken === undefined ? "miss" : "hit" });
    this.#show();
    return taken;
  }

  /** Starts what is missing soon, one after the other, for those who come later. */
  fillSoon(): void {
    if (this.#neediest() === undefined) return;
    this.#soon?.[Symbol.dispose]();
    this.#soon = this.#options.clock.after(fillAfterMs, () => {
      this.#filling ??= this.#fill().finally(() => (this.#filling = undefined));
    });
  }

  /** Ends all that wait. */
  async close(): Promise<void> {
    this.#closing.abort(new Failure("cancelled", "the daemon is stopping"));
    this.#soon?.[Symbol.dispose]();
    await this.#filling;
    for (const key of [...this.#kinds.keys()]) this.#drop(key);
    await Promise.all(this.#ends);
  }

  #ask(kind: MachineKind): Kept {
    const { build, vcpus, memoryBytes, allowInternet } = kind;
    const key = [build, vcpus, memoryBytes, allowInternet].join(" ");
    const idle = this.#options.clock.after(idleMs, () => this.#drop(key));
    const kept = this.#kinds.get(key) ?? { kind, waiting: [], idle };
    if (kept.idle !== idle) kept.idle[Symbol.dispose]();
    kept.idle = idle;
    this.#kinds.delete(key);
    this.#kinds.set(key, kept);
    const [oldest] = this.#kinds.keys();
    if (this.#kinds.size > kindsMax && oldest !== undefined) this.#drop(oldest);
    return kept;
  }

  async #fill(): Promise<void> {
    for (let kept = this.#neediest(); kept !== undefined; kept = this.#neediest()) {
      try {
        this.#keep(kept, await this.#start(kept.kind));
      } catch (error) {
        // Whoever asks for a sandbox finds out what is wrong; until then there is no use in trying again.
        if (!this.#closing.signal.aborted)
          this.#options.logger.warn({ build: kept.kind.build, error }, "no machine could be started ahead");
        return;
      }
    }
  }

  /** The kind that was asked for last, of those that lack machines. */
  #neediest(): Kept | undefined {
    if (this.#closing.signal.aborted) return undefined;
    const { machinesMax } = this.#options;
    return [...this.#kinds.values()].findLast(({ waiting }) => waiting.length < machinesMax);
  }

  async #start(kind: MachineKind): Promise<PooledMachine> {
    const { launcher, uids, clock } = this.#options;
    const places = newPlaces(this.#options);
    using limit = deadline(clock, startMsMax, "starting a machine ahead", this.#closing.signal);
    const uid = uids?.take();
    try {
      const order = { ...kind, ...places, how: "restore", uid: uid?.uid } as const;
      const machine = await launcher.start(order, limit.signal);
      await machine.doze(limit.signal);
      return { ...places, machine, uid };
    } catch (error) {
      uid?.[Symbol.dispose]();
      throw error;
    }
  }

  /** One that ends while it waits is nobody's. */
  #keep(kept: Kept, pooled: PooledMachine): void {
    const stillAsked = [...this.#kinds.values()].includes(kept);
    if (!stillAsked) return this.#end(pooled);
    kept.waiting.push(pooled);
    this.#show();
    void pooled.machine.exited.then(() => {
      const at = kept.waiting.indexOf(pooled);
      if (at < 0) return;
      kept.waiting.splice(at, 1);
      this.#options.logger.warn({ build: kept.kind.build }, "a machine that was started ahead has ended");
      this.#end(pooled);
    });
  }

  #drop(key: string): void {
    const kept = this.#kinds.get(key);
    if (kept === undefined) return;
    this.#kinds.delete(key);
    kept.idle[Symbol.dispose]();
    for (const pooled of kept.waiting.splice(0)) this.#end(pooled);
  }

  #end({ id, machine, uid }: PooledMachine): void {
    const end = async () => {
      try {
        await machine[Symbol.asyncDispose]();
        uid?.[Symbol.dispose]();
      } catch (error) {
        this.#options.logger.error({ sandbox: id, error }, "something of a machine could not be removed");
      }
    };
    const ending = end().finally(() => this.#ends.delete(ending));
    this.#ends.add(ending);
    this.#show();
  }

  #show(): void {
    this.#options.meter.gauge("larder_pool_machines", this.ids.length);
  }
}
