import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";

interface Held {
  readonly name: string;
  readonly end: () => Promise<void> | void;
}

export interface EndsInOrderOptions {
  /** How long one of them may take; after that the next one is ended, and this one is left to itself. */
  readonly eachMsMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What was started, to be ended in reverse: the doors first, the shelf last. One that fails or hangs does not keep the
 * others from their end, and is named in the log.
 */
export class EndsInOrder implements AsyncDisposable {
  readonly #options: EndsInOrderOptions;
  readonly #held: Held[] = [];
  #ending: Promise<void> | undefined;

  constructor(options: EndsInOrderOptions) {
    this.#options = options;
  }

  /** Takes charge of the end of `resource`, and hands it back. */
  hold<T extends AsyncDisposable | Disposable>(name: string, resource: T): T {
    const end =
      Symbol.asyncDispose in resource
        ? () => Promise.resolve(resource[Symbol.asyncDispose]())
        : () => resource[Symbol.dispose]();
    this.#held.push({ name, end });
    return resource;
  }

  /** Resolves when each has ended or has used up its time. May be called twice. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #end(): Promise<void> {
    for (const held of this.#held.toReversed()) {
      try {
        await this.#endOne(held);
      } catch (error) {
        this.#options.logger.error({ what: held.name, error }, "something did not end well");
      }
    }
  }

  async #endOne({ name, end }: Held): Promise<void> {
    const { clock, eachMsMax } = this.#options;
    const late = Promise.withResolvers<never>();
    const failure = new Failure("unavailable", `${name} has not ended within ${eachMsMax} ms`);
    using _timer = clock.after(eachMsMax, () => late.reject(failure));
    await Promise.race([end(), late.promise]);
  }
}
