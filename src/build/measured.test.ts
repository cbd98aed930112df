import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import { measured } from "./measured.ts";
import { fourChunks, numberedSource, readNumbers } from "./testing/numbered-source.ts";

const never = new AbortController().signal;

describe("measured", () => {
  it("counts fetches by source and outcome, and bytes by source, each once", async () => {
    const meter = new MemoryMeter();
    const source = measured(numberedSource([undefined, { before: 5, code: "unavailable" }]), meter);
    await readNumbers(source, never);
    await assert.rejects(readNumbers(source, never));
    assert.equal(meter.get("larder_fetched_bytes_total", { source: "numbers" }), 6);
    assert.equal(meter.get("larder_fetches_total", { source: "numbers", outcome: "ok" }), 1);
    assert.equal(meter.get("larder_fetches_total", { source: "numbers", outcome: "unavailable" }), 1);
    assert.equal(meter.sum("larder_fetches_total"), 2);
  });

  it("counts a fetch as ok when its reader stops at the last chunk", async () => {
    const meter = new MemoryMeter();
    let left = fourChunks.count;
    for await (const _chunk of measured(numberedSource(), meter).read(fourChunks, never))
      if (--left === 0) break;
    assert.equal(meter.get("larder_fetches_total", { source: "numbers", outcome: "ok" }), 1);
    assert.equal(meter.sum("larder_fetches_total"), 1);
  });

  it("counts what nobody wanted any more as abandoned, not as a failure", async () => {
    const meter = new MemoryMeter();
    for await (const _chunk of measured(numberedSource(), meter).read(fourChunks, never)) break;
    const left = AbortSignal.abort();
    const breaking = measured(numberedSource([{ before: 3, code: "unavailable" }]), meter);
    await assert.rejects(readNumbers(breaking, left));
    assert.equal(meter.get("larder_fetches_total", { source: "numbers", outcome: "abandoned" }), 2);
    assert.equal(meter.sum("larder_fetches_total"), 2);
  });
});
