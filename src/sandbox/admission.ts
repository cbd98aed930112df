import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { Gate } from "../base/gate.ts";

export interface AdmissionLimits {
  readonly sandboxesMax: number;
  /** Guest memory of all sandboxes together. */
  readonly memoryBytesMax: number;
  /** Sandboxes that start at once; more than there are cores only makes all of them slower. */
  readonly startsMax: number;
  /** Creates that may wait; the next one is refused. */
  readonly waitersMax: number;
  /** The longest that a create waits for its place. */
  readonly waitMsMax: number;
}

/** A sandbox's place on the node. */
export interface Place extends Disposable {
  /** Lets the next one start. Disposing of the place does so too. */
  started(): void;
}

/** Who may start, in the order they came: there must be a place, memory, and a turn to start. */
export class Admission {
  readonly #clock: Clock;
  readonly #waitMsMax: number;
  readonly #sandboxes: Gate;
  readonly #memory: Gate;
  readonly #starts: Gate;

  constructor(limits: AdmissionLimits, clock: Clock) {
    const { waitersMax } = limits;
    this.#clock = clock;
    this.#waitMsMax = limits.waitMsMax;
    this.#sandboxes = new Gate({ capacity: limits.sandboxesMax, waitersMax, name: "sandboxes" });
    this.#memory = new Gate({ capacity: limits.memoryBytesMax, waitersMax, name: "bytes of guest memory" });
    this.#starts = new Gate({ capacity: limits.startsMax, waitersMax, name: "sandboxes that start at once" });
  }

  /** How many hold a place. */
  get inside(): number {
    return this.#sandboxes.inside;
  }

  get waiting(): number {
    return this.#sandboxes.waiting + this.#memory.waiting + this.#starts.waiting;
  }

  /** The place of one that runs already, also on a node that is full. */
  readmit(memoryBytes: number): Place {
    const passes = [this.#sandboxes.readmit(), this.#memory.readmit(memoryBytes)];
    return {
      started: () => {},
      [Symbol.dispose]: () => {
        for (const pass of passes) pass[Symbol.dispose]();
      },
    };
  }

  /** Throws `exhausted` when too many wait already, or when no place came free in time. */
  async enter(memoryBytes: number, signal: AbortSignal): Promise<Place> {
    using patience = deadline(this.#clock, this.#waitMsMax, "waiting for a place", signal);
    using passes = new DisposableStack();
    try {
      passes.use(await this.#sandboxes.enter(patience.signal));
      passes.use(await this.#memory.enter(patience.signal, memoryBytes));
      const start = passes.use(await this.#starts.enter(patience.signal));
      const held = passes.move();
      return { started: () => start[Symbol.dispose](), [Symbol.dispose]: () => held.dispose() };
    } catch (error) {
      if (!patience.signal.aborted || signal.aborted) throw error;
      throw new Failure("exhausted", `the node is full: no place came free in ${this.#waitMsMax} ms`);
    }
  }
}
