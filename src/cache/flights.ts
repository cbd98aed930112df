import { abortable, ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";

interface Flight<Value> {
  readonly controller: AbortController;
  readonly landing: Promise<Value>;
  passengers: number;
}

/**
 * Work shared by everyone who asks for the same key while it is under way (C1).
 *
 *   nothing ──join──▶ under way ──▶ landed (forgotten: a failure is no state of anything)
 *                        └─last passenger leaves─▶ dying ──▶ down (forgotten)
 *
 * A passenger may leave at any time without hurting the others; the work is aborted only when the last one leaves
 * before it has landed (C4).
 */
export class Flights<Value> {
  readonly #underWay = new Map<string, Flight<Value>>();

  get count(): number {
    return this.#underWay.size;
  }

  /** Joins the flight for `key`, or starts one with `depart`. Settles as the flight does, or when `signal` aborts. */
  async join(
    key: string,
    depart: (signal: AbortSignal) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<Value> {
    for (;;) {
      signal.throwIfAborted();
      const flight = this.#underWay.get(key) ?? this.#start(key, depart);
      if (!flight.controller.signal.aborted) return this.#board(flight, signal);
      // Two flights of one key must not write at once: wait until the dying one has come down.
      await abortable(flight.landing.then(ignore, ignore), signal);
    }
  }

  /** Ends all flights with `reason` and resolves when they are down. */
  async abortAll(reason: Failure): Promise<void> {
    const flights = [...this.#underWay.values()];
    for (const { controller } of flights) controller.abort(reason);
    await Promise.allSettled(flights.map(({ landing }) => landing));
  }

  async #board(flight: Flight<Value>, signal: AbortSignal): Promise<Value> {
    flight.passengers += 1;
    try {
      return await abortable(flight.landing, signal);
    } finally {
      flight.passengers -= 1;
      if (flight.passengers === 0) flight.controller.abort(new Failure("cancelled", "nobody waits any more"));
    }
  }

  #start(key: string, depart: (signal: AbortSignal) => Promise<Value>): Flight<Value> {
    const controller = new AbortController();
    // Forgotten before anybody learns the outcome: whoever asks next starts afresh (C2).
    const landing = (async () => depart(controller.signal))().finally(() => this.#underWay.delete(key));
    landing.catch(ignore);
    const flight: Flight<Value> = { controller, landing, passengers: 0 };
    this.#underWay.set(key, flight);
    return flight;
  }
}
