import type { Clock } from "../base/clock.ts";
import type { GuestChannel } from "./ports.ts";

/** For so long after the last thing that was done in a guest may one of its ports be about to open. */
export const recentMsMax = 30_000;

/** Remembers when something was last done in a guest: a command, an input, a file; or when it was met first. */
export class RecentWork {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #lastAt = new WeakMap<GuestChannel, number>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  note(channel: GuestChannel): void {
    this.#lastAt.set(channel, this.#clock.monotonic());
  }

  /** Whether a port that is closed may be one that is about to open: in one that was booted just now it may, too. */
  mayOpen(channel: GuestChannel): boolean {
    if (!this.#lastAt.has(channel)) this.note(channel);
    return this.#clock.monotonic() - (this.#lastAt.get(channel) ?? 0) < recentMsMax;
  }
}
