import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { comeDown } from "./come-down.ts";

interface Flight<Value> {
  readonly key: string;
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
 * before it has landed. A newcomer waits for a dying flight, but not for long: the work must heed its signal before
 * each thing that it changes (C4).
 */
export class Flights<Value> {
  readonly #clock: Clock;
  readonly #onJoin: () => void;
  readonly #underWay = new Map<string, Flight<Value>>();
  /** Those that hang in their dying included. */
  readonly #all = new Set<Flight<Value>>();

  /** `onJoin` is called for everyone who joins a flight that another one started. */
  constructor(clock: Clock, onJoin: () => void = ignore) {
    this.#clock = clock;
    this.#onJoin = onJoin;
  }

  get count(): number {
    return this.#all.size;
  }

  has(key: string): boolean {
    return this.#underWay.has(key);
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
      await comeDown(flight.landing, this.#clock, signal);
      this.#forget(key, flight);
    }
  }

  /** Ends all flights with `reason` and resolves when they are down. */
  async abortAll(reason: Failure): Promise<void> {
    const flights = [...this.#all];
    for (const { controller } of flights) controller.abort(reason);
    await Promise.allSettled(flights.map(({ landing }) => landing));
  }

  /** Resolves when none of those with such a key is under way any more, hanging ones included. */
  async settled(matches: (key: string) => boolean): Promise<void> {
    const flights = [...this.#all].filter(({ key }) => matches(key));
    await Promise.allSettled(flights.map(({ landing }) => landing));
  }

  async #board(flight: Flight<Value>, signal: AbortSignal): Promise<Value> {
    if (flight.passengers > 0) this.#onJoin();
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
    const landing = (async () => depart(controller.signal))().finally(() => {
      this.#forget(key, flight);
      this.#all.delete(flight);
    });
    landing.catch(ignore);
    const flight: Flight<Value> = { key, controller, landing, passengers: 0 };
    this.#underWay.set(key, flight);
    this.#all.add(flight);
    return flight;
  }

  #forget(key: string, flight: Flight<Value>): void {
    if (this.#underWay.get(key) === flight) this.#underWay.delete(key);
  }
}
