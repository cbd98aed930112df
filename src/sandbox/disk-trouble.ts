import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Machine } from "../machine/machine.ts";
import type { WatchedDevice } from "./watched-device.ts";

export interface DiskTroubleOptions {
  readonly sandbox: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** How long a guest may wait for its disk before it is given up. */
  readonly stalledMsMax: number;
}

/** The first pause before a stopped machine is told to go on; it doubles each time. */
const pauseMsFirst = 500;
const pauseMsMax = 30_000;
/** After this long without trouble the next one is a new one. */
const forgottenMs = 60_000;

/**
 * A machine stops when its disk cannot be read or written: its guest sees no error, and repeats the request when it
 * goes on. While it starts, that is a failure; later it is told to go on again and again, until the disk is well: till
 * then it is stalled. One that is stalled for too long is given up.
 */
export class DiskTrouble implements Disposable {
  /** Aborts when the machine stops before it is tolerated, with the reason. */
  readonly stopped: AbortSignal;
  /** Resolves, with a sentence, when it is given up. */
  readonly hopeless: Promise<string>;
  readonly #machine: Pick<Machine, "execute" | "onEvent">;
  readonly #disk: WatchedDevice;
  readonly #options: DiskTroubleOptions;
  readonly #stop = new AbortController();
  readonly #over = new AbortController();
  readonly #giveUp = Promise.withResolvers<string>();
  #bound: Disposable | undefined;
  #tolerated = false;
  #held = false;
  #timer: Disposable | undefined;
  #pauseMs = pauseMsFirst;
  #stoppedAt = 0;

  constructor(
    machine: Pick<Machine, "execute" | "onEvent">,
    disk: WatchedDevice,
    options: DiskTroubleOptions,
  ) {
    this.#machine = machine;
    this.#disk = disk;
    this.#options = options;
    this.stopped = this.#stop.signal;
    this.hopeless = this.#giveUp.promise;
    disk.onWell(() => this.#onWell());
    machine.onEvent(({ event, data }) => {
      if (event === "BLOCK_IO_ERROR" && (data as { action?: string }).action === "stop") this.#onStop();
    });
  }

  /** Its guest waits for its disk, and has done so since a read failed. */
  get isStalled(): boolean {
    return this.#bound !== undefined;
  }

  /** The guest is up: from now on trouble is waited out. */
  tolerate(): void {
    this.#tolerated = true;
  }

  /** Somebody else has stopped the machine and says when it goes on: until then nobody tells it to. */
  hold(): void {
    this.#held = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#onWell();
  }

  /** The machine has been told to go on. */
  letGo(): void {
    this.#held = false;
  }

  [Symbol.dispose](): void {
    this.#over.abort();
    this.#timer?.[Symbol.dispose]();
    this.#onWell();
  }

  #onStop(): void {
    if (this.#over.signal.aborted || this.#held || this.#timer !== undefined) return;
    const { sandbox, clock, logger, meter } = this.#options;
    const reason = this.#disk.lastFailure;
    meter.count("larder_disk_stops_total");
    if (!this.#tolerated) {
      const code = reason?.code ?? "unavailable";
      const words = reason === undefined ? "" : `: ${reason.message}`;
      this.#stop.abort(
        new Failure(code, `the guest could not use its disk${words}`, reason && { cause: reason }),
      );
      return;
    }
    if (clock.monotonic() - this.#stoppedAt > forgottenMs) this.#pauseMs = pauseMsFirst;
    this.#stoppedAt = clock.monotonic();
    const facts = { sandbox, reason: reason?.message, pauseMs: this.#pauseMs };
    logger.warn(facts, "a guest waits for its disk: it is stalled");
    this.#bound ??= clock.after(this.#options.stalledMsMax, () => this.#onHopeless());
    this.#timer = clock.after(this.#pauseMs, () => void this.#goOn());
    this.#pauseMs = Math.min(2 * this.#pauseMs, pauseMsMax);
  }

  #onWell(): void {
    this.#bound?.[Symbol.dispose]();
    this.#bound = undefined;
  }

  #onHopeless(): void {
    const { stalledMsMax } = this.#options;
    const why = this.#disk.lastFailure?.message ?? "nobody knows why";
    this.#giveUp.resolve(`its disk could not be read for ${stalledMsMax / 1000} s: ${why}`);
  }

  async #goOn(): Promise<void> {
    this.#timer = undefined;
    // A machine that ended meanwhile is noticed elsewhere.
    await this.#machine.execute("cont", {}, this.#over.signal).catch(() => "it is no more");
  }
}
