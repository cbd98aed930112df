export type Labels = Readonly<Record<string, string>>;

/** Counters, gauges and durations, as a room sees them; the daemon shows them at `/metrics`. */
export interface Meter {
  /** Adds `by` (1 unless said) to a counter. Names end in `_total`. */
  count(name: string, labels?: Labels, by?: number): void;
  /** Sets a gauge. */
  gauge(name: string, value: number, labels?: Labels): void;
  /** Records one duration in seconds. Names end in `_seconds`. */
  observe(name: string, seconds: number, labels?: Labels): void;
}

export const silentMeter: Meter = { count: () => {}, gauge: () => {}, observe: () => {} };
