import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Labels, Meter } from "../base/meter.ts";
import { declaredMetrics, type MetricDeclaration } from "./declared-metrics.ts";

/** Bounds of durations in seconds: from one call to an agent up to the making of a template. */
const secondsBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** What the rooms measure, as Prometheus reads it. Only what is declared is kept; the rest is told once. */
export class Metrics implements Meter {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #undeclared = new Set<string>();
  readonly #onUndeclared: (name: string) => void;

  constructor(onUndeclared: (name: string) => void) {
    this.#onUndeclared = onUndeclared;
    for (const [name, declaration] of Object.entries(declaredMetrics)) this.#declare(name, declaration);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  count(name: string, labels: Labels = {}, by = 1): void {
    const counter = this.#counters.get(name);
    if (counter === undefined) this.#complain(name);
    else counter.inc(known(name, labels), by);
  }

  gauge(name: string, value: number, labels: Labels = {}): void {
    const gauge = this.#gauges.get(name);
    if (gauge === undefined) this.#complain(name);
    else gauge.set(known(name, labels), value);
  }

  observe(name: string, seconds: number, labels: Labels = {}): void {
    const histogram = this.#histograms.get(name);
    if (histogram === undefined) this.#complain(name);
    else histogram.observe(known(name, labels), seconds);
  }

  #declare(name: string, { help, kind, labels = [] }: MetricDeclaration): void {
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
    if (kind === "counter") this.#counters.set(name, new Counter(options));
    else if (kind === "gauge") this.#gauges.set(name, new Gauge(options));
    else this.#histograms.set(name, new Histogram({ ...options, buckets: secondsBounds }));
  }

  #complain(name: string): void {
    if (this.#undeclared.has(name)) return;
    this.#undeclared.add(name);
    this.#onUndeclared(name);
  }
}

/** Without labels that are not declared: the library would throw, and a metric must never end a request. */
function known(name: string, labels: Labels): Record<string, string> {
  const names: readonly string[] = declaredMetrics[name]?.labels ?? [];
  return Object.fromEntries(Object.entries(labels).filter(([label]) => names.includes(label)));
}
