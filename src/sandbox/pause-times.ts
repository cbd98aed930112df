import type { Clock } from "../base/clock.ts";
import type { Meter } from "../base/meter.ts";

/** The steps of making a build of a sandbox, as the label `step` of `larder_snapshot_step_seconds` names them. */
export type PauseStep = "flush" | "stop" | "state" | "pages" | "clusters" | "repack" | "pack" | "adopt";

/** Measures how long each step takes, and how much memory was the machine's own. */
export class PauseTimes {
  readonly #clock: Clock;
  readonly #meter: Meter;

  constructor(clock: Clock, meter: Meter) {
    this.#clock = clock;
    this.#meter = meter;
  }

  /** The time of a step that fails counts too. */
  async measure<T>(step: PauseStep, work: () => Promise<T>): Promise<T> {
    const began = this.#clock.monotonic();
    try {
      return await work();
    } finally {
      this.#meter.observe("larder_snapshot_step_seconds", (this.#clock.monotonic() - began) / 1000, { step });
    }
  }

  count(dirtyBytes: number): void {
    this.#meter.count("larder_snapshot_dirty_bytes_total", {}, dirtyBytes);
  }
}
