import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { type FaultPlan, faulty } from "../base/testing/faulty.ts";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { settled, VirtualClock } from "../base/testing/virtual-clock.ts";
import type { Chunk, ChunkRequest, ChunkSource } from "./chunk-source.ts";
import { firstOf } from "./first-of.ts";
import { limited } from "./limited.ts";
import { measured } from "./measured.ts";
import { retried } from "./retried.ts";
import { attemptsOf } from "./retry.ts";

const never = new AbortController().signal;
const request: ChunkRequest = { build: "b", artifact: "rootfs", firstChunk: 3, count: 4 };

/** Gives each chunk its number as its only byte, and breaks off before the chunks that `breaks` names, once each. */
function numbers(breaks: Failure[] = [], name = "numbers"): ChunkSource & { asked: ChunkRequest[] } {
  const asked: ChunkRequest[] = [];
  return {
    name,
    asked,
    async *read(request) {
      asked.push(request);
      for (let index = request.firstChunk; index < request.firstChunk + request.count; index++) {
        const failure = index > 4 || breaks.length > 2 ? breaks.shift() : undefined;
        if (failure !== undefined) throw failure;
        yield { index, bytes: Uint8Array.of(index) };
      }
    },
  };
}

async function read(source: ChunkSource, signal = never): Promise<number[]> {
  const got: number[] = [];
  for await (const { index } of source.read(request, signal) as AsyncIterable<Chunk>) got.push(index);
  return got;
}

function policy() {
  const clock = new VirtualClock();
  const meter = new MemoryMeter();
  const rest = { attemptsMax: 3, delayMs: 100, delayMsMax: 1000 };
  return { clock, meter, random: new SeededRandom(1), ...rest };
}

describe("retried", () => {
  it("C7: tries again after `unavailable`, from the chunk that is missing", async () => {
    const options = policy();
    const source = numbers([new Failure("unavailable", "reset")]);
    const got = read(retried(source, options));
    await options.clock.advance(1000);
    assert.deepEqual(await got, [3, 4, 5, 6]);
    assert.deepEqual(
      source.asked.map(({ firstChunk, count }) => [firstChunk, count]),
      [
        [3, 4],
        [5, 2],
      ],
    );
  });

  it("C7: tries `corrupt` once at once, then waits, and gives up after a bounded number of attempts", async () => {
    const options = policy();
    const source = faulty(numbers(), () => ({ kind: "fail", code: "corrupt" }));
    const got = read(retried(source, options));
    got.catch(() => {});
    await settled();
    assert.equal(
      options.meter.get("larder_retries_total", { kind: "corrupt" }),
      2,
      "one at once, one is waiting",
    );
    await options.clock.advance(1000);
    await assert.rejects(got, (error) => Failure.is(error, "corrupt") && attemptsOf(error) === 3);
    assert.equal(options.clock.pending, 0);
  });

  it("C7: never retries not_found or exhausted", async () => {
    for (const code of ["not_found", "exhausted"] as const) {
      const options = policy();
      const source = faulty(numbers(), () => ({ kind: "fail", code }));
      await assert.rejects(read(retried(source, options)), (error) => Failure.is(error, code));
      assert.equal(options.meter.sum("larder_retries_total"), 0);
    }
  });

  it("ends its wait when the caller leaves", async () => {
    const options = policy();
    const controller = new AbortController();
    const source = faulty(numbers(), () => ({ kind: "fail", code: "unavailable" }));
    const got = read(retried(source, options), controller.signal);
    got.catch(() => {});
    await settled();
    controller.abort(new Failure("cancelled", "gone"));
    await assert.rejects(got, (error) => Failure.is(error, "cancelled"));
    assert.equal(options.clock.pending, 0);
  });
});

describe("firstOf", () => {
  it("goes on with the next source behind what came already", async () => {
    const first = numbers([new Failure("unavailable", "peer died")], "peer");
    const second = numbers([], "bucket");
    assert.deepEqual(await read(firstOf([first, second])), [3, 4, 5, 6]);
    assert.deepEqual(second.asked, [{ ...request, firstChunk: 5, count: 2 }]);
  });

  it("fails as its last source does", async () => {
    const plan: FaultPlan = () => ({ kind: "fail", code: "not_found" });
    const source = firstOf([faulty(numbers(), plan), faulty(numbers(), plan)]);
    await assert.rejects(read(source), (error) => Failure.is(error, "not_found"));
  });
});

describe("limited", () => {
  it("lets so many requests pass at a time and gives the place back to whoever waits", async () => {
    const gate = Promise.withResolvers<void>();
    const stalling = faulty(numbers(), (_, __, call) =>
      call === 1 ? { kind: "stall", until: gate.promise } : undefined,
    );
    const source = limited(stalling, { requestsMax: 1, bytesInFlightMax: 2 ** 24, waitersMax: 1 });
    const first = read(source);
    const second = read(source);
    await settled();
    await assert.rejects(read(source), (error) => Failure.is(error, "exhausted"));
    gate.resolve();
    assert.deepEqual(await Promise.all([first, second]), [
      [3, 4, 5, 6],
      [3, 4, 5, 6],
    ]);
  });
});

describe("measured", () => {
  it("counts fetches by outcome and bytes, each once", async () => {
    const meter = new MemoryMeter();
    await read(measured(numbers(), meter));
    const failing = faulty(numbers(), () => ({ kind: "fail", code: "unavailable" }));
    await assert.rejects(read(measured(failing, meter)));
    assert.equal(meter.get("larder_fetched_bytes_total", { source: "numbers" }), 4);
    assert.equal(meter.get("larder_fetches_total", { source: "numbers", outcome: "ok" }), 1);
    assert.equal(meter.get("larder_fetches_total", { source: "numbers", outcome: "unavailable" }), 1);
  });
});
