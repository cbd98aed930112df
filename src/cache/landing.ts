/** Who waits for a landing; told at most once of its end. */
interface Waiter<Outcome> {
  land(outcome: Outcome): void;
  fail(reason: Error): void;
}

/**
 * What many wait for, each with a signal of its own: a promise that is made by hand for its cost, since a hundred
 * thousand may wait. Those who leave are forgotten at once.
 */
export class Landing<Outcome> {
  readonly #waiters = new Set<Waiter<Outcome>>();

  get waiters(): number {
    return this.#waiters.size;
  }

  /** Rejects with the reason of the signal, and calls `onLeft`, when that ends the wait before there is an outcome. */
  wait(signal: AbortSignal, onLeft: () => void): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        signal.removeEventListener("abort", leave);
        this.#waiters.delete(waiter);
        reject(signal.reason as Error);
        onLeft();
      };
      const waiter: Waiter<Outcome> = {
        land: (outcome) => {
          signal.removeEventListener("abort", leave);
          resolve(outcome);
        },
        fail: (reason) => {
          signal.removeEventListener("abort", leave);
          reject(reason);
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener("abort", leave);
    });
  }

  land(outcome: Outcome): void {
    for (const waiter of this.#waiters) waiter.land(outcome);
    this.#waiters.clear();
  }

  fail(reason: Error): void {
    for (const waiter of this.#waiters) waiter.fail(reason);
    this.#waiters.clear();
  }
}
