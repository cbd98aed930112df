import { abortable } from "../../base/abortable.ts";
import type { Clock } from "../../base/clock.ts";

export interface Expiring<T> {
  readonly value: T;
  /** Milliseconds since the epoch; undefined: never. */
  readonly expiresAt: number | undefined;
}

export interface RenewedOptions<T> {
  readonly clock: Clock;
  readonly fetch: Provider<T>;
}

/** `anew`: what it gave before was refused, and must not be taken from some memory. */
export type Provider<T> = (anew: boolean) => Promise<Expiring<T>>;

/** So long before its end a value is fetched anew. */
const renewBeforeMs = 5 * 60_000;
/** A failed renewal of a value that is still good is not tried again sooner. */
const renewAgainMs = 30_000;

/**
 * A secret that expires: fetched when it is first needed and anew some minutes before its end, once for all who ask
 * meanwhile. It lies in a private field, so that nothing which prints objects prints it.
 */
export class Renewed<T> {
  readonly #options: RenewedOptions<T>;
  #held: Expiring<T> | undefined;
  #fetching: Promise<Expiring<T>> | undefined;
  #notBefore = 0;
  #refused = false;

  constructor(options: RenewedOptions<T>) {
    this.#options = options;
  }

  async get(signal: AbortSignal): Promise<T> {
    const now = this.#options.clock.now();
    const held = this.#held;
    const left = held === undefined ? 0 : (held.expiresAt ?? Infinity) - now;
    if (held !== undefined && left > renewBeforeMs) return held.value;
    if (held !== undefined && left > 0) {
      // Still good: nobody waits for the next one, and nobody fails because it cannot be had yet.
      if (now >= this.#notBefore) this.#fetch().catch(() => (this.#notBefore = now + renewAgainMs));
      return held.value;
    }
    return (await abortable(this.#fetch(), signal)).value;
  }

  /** The value was refused: the next caller gets another one. */
  forget(): void {
    this.#held = undefined;
    this.#refused = true;
  }

  #fetch(): Promise<Expiring<T>> {
    if (this.#fetching !== undefined) return this.#fetching;
    this.#fetching = this.#options
      .fetch(this.#refused)
      .then((fetched) => (this.#held = fetched))
      .finally(() => (this.#fetching = undefined));
    this.#refused = false;
    return this.#fetching;
  }
}
