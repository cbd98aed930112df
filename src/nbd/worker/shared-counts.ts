import type { Labels, Meter } from "../../base/meter.ts";

const reads = "larder_nbd_reads_total";
const readBytes = "larder_nbd_read_bytes_total";
const outcomes = ["hit", "miss", "error"] as const;

/** Counters of one worker in memory that the main thread reads when it likes: a read that is counted sends nothing. */
export function newCounts(): Float64Array {
  return new Float64Array(new SharedArrayBuffer(8 * (outcomes.length + 1)));
}

/** The worker's end: it alone writes. */
export class CountingMeter implements Meter {
  readonly #counts: Float64Array;

  constructor(counts: Float64Array) {
    this.#counts = counts;
  }

  count(name: string, labels: Labels = {}, by = 1): void {
    const slot = name === reads ? outcomes.findIndex((each) => each === labels["outcome"]) : outcomes.length;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + by;
  }

  gauge(): void {}

  observe(): void {}
}

/** The main thread's end: tells a meter what has come since it was last asked. */
export class CountsReader {
  readonly #counts: Float64Array;
  readonly #told: Float64Array;

  constructor(counts: Float64Array) {
    this.#counts = counts;
    this.#told = new Float64Array(counts.length);
  }

  tell(meter: Meter): void {
    for (const [slot, told] of this.#told.entries()) {
      const now = this.#counts[slot] ?? 0;
      if (now === told) continue;
      const outcome = outcomes[slot];
      if (outcome === undefined) meter.count(readBytes, {}, now - told);
      else meter.count(reads, { outcome }, now - told);
      this.#told[slot] = now;
    }
  }
}
