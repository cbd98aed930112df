import type { Clock } from "../base/clock.ts";
import type { Meter } from "../base/meter.ts";
import { silentTracer, type Tracer } from "../base/tracer.ts";

/** The steps of a create, as the label `step` of `larder_create_step_seconds` names them. */
export type Step =
  | "lease"
  | "directories"
  | "bounds"
  | "network"
  | "rootfs"
  | "export"
  | "overlay"
  | "memfile"
  | "files"
  | "machine"
  | "pages"
  | "restore"
  | "channel"
  | "init";

/** Measures how long each step of one create takes; steps may overlap. */
export class StepTimes {
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #tracer: Tracer;

  constructor(clock: Clock, meter: Meter, tracer: Tracer = silentTracer) {
    this.#clock = clock;
    this.#meter = meter;
    this.#tracer = tracer;
  }

  /** The time of a step that fails counts too. */
  async measure<T>(step: Step, work: () => Promise<T>): Promise<T> {
    const began = this.#clock.monotonic();
    try {
      return await this.#tracer.span(step, {}, work);
    } finally {
      this.#meter.observe("larder_create_step_seconds", (this.#clock.monotonic() - began) / 1000, { step });
    }
  }
}
