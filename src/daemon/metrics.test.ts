import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { declaredMetrics } from "./declared-metrics.ts";
import { Metrics } from "./metrics.ts";

describe("Metrics", () => {
  it("show counters, gauges and durations with their labels", async () => {
    const metrics = new Metrics(assert.fail);
    metrics.count("larder_traffic_requests_total", { to: "agent", status: "200" }, 2);
    metrics.observe("larder_api_request_seconds", 0.2, { route: "/healthz" });
    const text = await metrics.text();
    assert.match(text, /^larder_traffic_requests_total\{to="agent",status="200"\} 2$/m);
    assert.match(text, /^larder_api_request_seconds_bucket\{le="0\.25",route="\/healthz"\} 1$/m);
  });

  it("an undeclared name is told once and never throws; an undeclared label is dropped", async () => {
    const told: string[] = [];
    const metrics = new Metrics((name) => told.push(name));
    metrics.count("larder_nope_total");
    metrics.count("larder_nope_total");
    metrics.gauge("larder_nope", 1);
    metrics.count("larder_traffic_requests_total", { to: "port", shoe: "42" });
    assert.deepEqual(told, ["larder_nope_total", "larder_nope"]);
    assert.match(await metrics.text(), /^larder_traffic_requests_total\{to="port"\} 1$/m);
  });

  it("every metric that the source names is declared", () => {
    const source = path.join(import.meta.dirname, "..");
    const files = globSync("**/*.ts", { cwd: source }).filter((file) => !/\.test\.ts$|testing\//.test(file));
    const named = new Set<string>();
    for (const file of files) {
      const text = readFileSync(path.join(source, file), "utf8");
      for (const [, name] of text.matchAll(/"(larder_[a-z_]+)"/g)) named.add(name ?? "");
    }
    assert.deepEqual([...named].filter((name) => declaredMetrics[name] === undefined).sort(), []);
  });
});
