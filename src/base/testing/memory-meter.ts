import type { Labels, Meter } from "../meter.ts";

/** Keeps what was measured, so that a test can ask for it by `name{label="value"}`. */
export class MemoryMeter implements Meter {
  readonly values = new Map<string, number>();

  count(name: string, labels: Labels = {}, by = 1): void {
    const key = keyOf(name, labels);
    this.values.set(key, (this.values.get(key) ?? 0) + by);
  }

  gauge(name: string, value: number, labels: Labels = {}): void {
    this.values.set(keyOf(name, labels), value);
  }

  observe(name: string, seconds: number, labels: Labels = {}): void {
    this.count(`${name}_sum`, labels, seconds);
    this.count(`${name}_count`, labels);
  }

  get(name: string, labels: Labels = {}): number {
    return this.values.get(keyOf(name, labels)) ?? 0;
  }

  /** The sum over all labels. */
  sum(name: string): number {
    let sum = 0;
    for (const [key, value] of this.values) if (key === name || key.startsWith(`${name}{`)) sum += value;
    return sum;
  }
}

function keyOf(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? name : `${name}{${pairs.map(([k, v]) => `${k}="${v}"`).join(",")}}`;
}
