import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure, type FailureCode } from "../../base/failure.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import { SeededRandom } from "../../base/testing/seeded-random.ts";
import { VirtualClock } from "../../base/testing/virtual-clock.ts";
import { Retries } from "./retries.ts";

const never = new AbortController().signal;
const limits = { attemptsMax: 4, delayMs: 100, delayMsMax: 300, budgetMax: 10, earned: 0.5 };

describe("Retries", () => {
  it("tries again what was unavailable, after a random part of a wait that doubles", async () => {
    const { clock, meter, retries } = make();
    const at: number[] = [];
    const begun = clock.now();
    const run = retries.run(async () => {
      at.push(clock.now() - begun);
      throw new Failure("unavailable", "away");
    }, never);
    run.catch(() => {});
    await clock.advance(10_000);
    await assert.rejects(run, (error) => Failure.is(error, "unavailable"));
    const waits = at.slice(1).map((ms, i) => ms - (at[i] ?? 0));
    assert.equal(waits.length, 3);
    for (const [i, wait] of waits.entries()) assert.ok(wait > 0 && wait <= Math.min(100 * 2 ** i, 300));
    assert.equal(meter.get("larder_bucket_retries_total"), 3);
  });

  it("tries nothing else again", async () => {
    const codes: FailureCode[] = ["not_found", "conflict", "denied", "corrupt", "invalid", "internal"];
    for (const code of codes) {
      const { retries } = make();
      let tried = 0;
      const run = retries.run(async () => {
        tried += 1;
        throw new Failure(code, "no");
      }, never);
      await assert.rejects(run, (error) => Failure.is(error, code));
      assert.equal(tried, 1, code);
    }
  });

  it("stops to try again when nothing succeeds, and earns the right to by success", async () => {
    const { clock, retries } = make();
    const failing = async () => {
      let tried = 0;
      const run = retries.run(async () => {
        tried += 1;
        throw new Failure("unavailable", "away");
      }, never);
      run.catch(() => {});
      await clock.advance(10_000);
      return tried;
    };
    const tried: number[] = [];
    for (let i = 0; i < 5; i++) tried.push(await failing());
    assert.deepEqual(tried, [4, 4, 4, 2, 1]);
    for (let i = 0; i < 4; i++) await retries.run(async () => {}, never);
    assert.equal(await failing(), 3);
  });

  it("ends its wait when the caller leaves", async () => {
    const { clock, retries } = make();
    const leaving = new AbortController();
    const run = retries.run(async () => {
      throw new Failure("unavailable", "away");
    }, leaving.signal);
    run.catch(() => {});
    await clock.advance(0);
    leaving.abort(new Failure("cancelled", "gone"));
    await assert.rejects(run, (error) => Failure.is(error, "cancelled"));
    assert.equal(clock.pending, 0);
  });
});

function make() {
  const [clock, meter] = [new VirtualClock(), new MemoryMeter()];
  return { clock, meter, retries: new Retries({ clock, meter, random: new SeededRandom(7), limits }) };
}
