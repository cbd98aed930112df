import { Failure } from "./failure.ts";

interface Waiter {
  readonly weight: number;
  readonly enter: () => void;
}

export interface GateOptions {
  /** How much may be inside at once. */
  readonly capacity: number;
  /** How many may wait; the next one is refused with `exhausted`. */
  readonly waitersMax: number;
  /** What the gate stands before, for the sentence of a refusal. */
  readonly name: string;
}

/**
 * A fair counting semaphore: first come, first served, a heavy one is never overtaken.
 * `enter` gives a pass that must be disposed of; disposing twice is harmless.
 */
export class Gate {
  readonly #options: GateOptions;
  readonly #waiting: Set<Waiter> = new Set();
  #inside = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Throws `exhausted` when too many wait already, or when `weight` could never fit. */
  async enter(signal: AbortSignal, weight = 1): Promise<Disposable> {
    signal.throwIfAborted();
    const { capacity, waitersMax, name } = this.#options;
    if (weight > capacity)
      throw new Failure("exhausted", `${name}: ${weight} asked for, ${capacity} is all there is`);
    if (this.#waiting.size === 0 && this.#inside + weight <= capacity) return this.#pass(weight);
    if (this.#waiting.size >= waitersMax) {
      throw new Failure("exhausted", `${name}: ${waitersMax} are waiting already`);
    }
    await this.#queue(weight, signal);
    return this.#pass(weight, true);
  }

  /** In at once, however many are inside: for those who were inside before there was this gate. */
  readmit(weight = 1): Disposable {
    return this.#pass(weight);
  }

  #queue(weight: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(waiter);
        reject(signal.reason as Error);
        this.#admit();
      };
      const enter = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const waiter: Waiter = { weight, enter };
      this.#waiting.add(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Lets in whoever is first in line, while there is room: their weight counts from this moment on. */
  #admit(): void {
    for (const waiter of this.#waiting) {
      if (this.#inside + waiter.weight > this.#options.capacity) return;
      this.#waiting.delete(waiter);
      this.#inside += waiter.weight;
      waiter.enter();
    }
  }

  #pass(weight: number, counted = false): Disposable {
    if (!counted) this.#inside += weight;
    let inside = true;
    return {
      [Symbol.dispose]: () => {
        if (!inside) return;
        inside = false;
        this.#inside -= weight;
        this.#admit();
      },
    };
  }
}
