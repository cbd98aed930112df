import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { settled, VirtualClock } from "../base/testing/virtual-clock.ts";
import { retried } from "./retried.ts";
import { attemptsOf } from "./retry.ts";
import { type Breaks, fourChunks, numberedSource, readNumbers } from "./testing/numbered-source.ts";

const never = new AbortController().signal;

describe("retried", () => {
  it("C7: tries again after `unavailable`, from the chunk that is missing", async () => {
    const { options, source, retrying } = scene([{ before: 5, code: "unavailable" }]);
    const got = readNumbers(retrying, never);
    await settled();
    assert.equal(source.asked.length, 1, "not at once");
    await options.clock.advance(100);
    assert.deepEqual(await got, [3, 4, 5, 6]);
    const ranges = source.asked.map(({ firstChunk, count }) => [firstChunk, count]);
    assert.deepEqual(ranges, [
      [3, 4],
      [5, 2],
    ]);
    assert.equal(options.meter.get("larder_retries_total", { kind: "unavailable" }), 1);
  });

  it("C7: bounds the attempts of a request as a whole, however far each of them came", async () => {
    const breaks: Breaks = [4, 5, 6].map((before) => ({ before, code: "unavailable" }));
    const { options, source, retrying } = scene(breaks);
    const got = readNumbers(retrying, never);
    got.catch(() => {});
    await options.clock.advance(10_000);
    await assert.rejects(got, (error) => Failure.is(error, "unavailable") && attemptsOf(error) === 3);
    assert.equal(source.asked.length, 3);
  });

  it("C7: tries `corrupt` once at once and then like `unavailable`", async () => {
    const corrupt = { before: 5, code: "corrupt" } as const;
    const { options, source, retrying } = scene([corrupt, corrupt, corrupt]);
    const got = readNumbers(retrying, never);
    got.catch(() => {});
    await settled();
    assert.equal(source.asked.length, 2, "once at once");
    assert.equal(options.clock.pending, 1, "then it waits");
    await options.clock.advance(10_000);
    await assert.rejects(got, (error) => Failure.is(error, "corrupt") && attemptsOf(error) === 3);
    assert.equal(options.clock.pending, 0);
  });

  it("C7: never retries what another try would not mend, not even in the middle of a request", async () => {
    for (const code of ["not_found", "exhausted", "denied", "invalid", "internal"] as const) {
      for (const before of [3, 5]) {
        const { options, source, retrying } = scene([{ before, code }]);
        await assert.rejects(readNumbers(retrying, never), (error) => Failure.is(error, code));
        assert.equal(source.asked.length, 1, code);
        assert.equal(options.meter.sum("larder_retries_total"), 0);
      }
    }
  });

  it("has all it was asked for when only the end of the stream fails", async () => {
    const { source, retrying } = scene([{ before: 7, code: "unavailable" }]);
    assert.deepEqual(await readNumbers(retrying, never), [3, 4, 5, 6]);
    assert.equal(source.asked.length, 1);
  });

  it("C7: waits with full jitter below a bound that doubles", async () => {
    const { options, source, retrying } = scene(
      Array.from({ length: 9 }, () => ({ before: 3, code: "unavailable" })),
      9,
    );
    const got = readNumbers(retrying, never);
    got.catch(() => {});
    const started: number[] = [];
    for (let ms = 0; ms < 3_000; ms += 10) {
      await options.clock.advance(10);
      while (started.length < source.asked.length) started.push(ms);
    }
    await assert.rejects(got);
    const waits = started.slice(1).map((ms, i) => ms - (started[i] ?? 0));
    for (const [i, wait] of waits.entries())
      assert.ok(wait <= Math.min(100 * 2 ** i, 400) + 10, `wait ${i}: ${wait}`);
    assert.equal(waits.length, 8);
    assert.ok(Math.max(...waits) > 200, "the bound doubles");
    assert.ok(new Set(waits).size > 5, "no two alike but by chance");
  });

  it("ends its wait when the caller leaves", async () => {
    const { options, retrying } = scene([{ before: 3, code: "unavailable" }]);
    const controller = new AbortController();
    const got = readNumbers(retrying, controller.signal);
    got.catch(() => {});
    await settled();
    controller.abort(new Failure("cancelled", "gone"));
    await assert.rejects(got, (error) => Failure.is(error, "cancelled"));
    assert.equal(options.clock.pending, 0);
  });

  it("stops the source when its reader stops early", async () => {
    let stopped = 0;
    const source = {
      name: "endless",
      async *read() {
        try {
          for (let index = 3; ; index++) yield { index, bytes: Uint8Array.of(index) };
        } finally {
          stopped += 1;
        }
      },
    };
    for await (const chunk of retried(source, scene([]).options).read(fourChunks, never)) {
      if (chunk.index === 4) break;
    }
    assert.equal(stopped, 1);
  });
});

function scene(breaks: Breaks, attemptsMax = 3) {
  const rest = { attemptsMax, delayMs: 100, delayMsMax: 400 };
  const options = {
    clock: new VirtualClock(),
    meter: new MemoryMeter(),
    random: new SeededRandom(1),
    ...rest,
  };
  const source = numberedSource(breaks);
  return { options, source, retrying: retried(source, options) };
}
