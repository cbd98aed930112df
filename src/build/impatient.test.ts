import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { settled, VirtualClock } from "../base/testing/virtual-clock.ts";
import { impatient, impatientObjects } from "./impatient.ts";
import { fourChunks, numberedSource, readNumbers } from "./testing/numbered-source.ts";

const never = new AbortController().signal;
const stallMsMax = 1000;

describe("impatient", () => {
  it("gives up a source that gives nothing for too long, and tells it", async () => {
    const clock = new VirtualClock();
    const { source, told } = stalling(5);
    const got: number[] = [];
    const reading = (async () => {
      for await (const { index } of impatient(source, { clock, stallMsMax }).read(fourChunks, never))
        got.push(index);
    })();
    reading.catch(() => {});
    await clock.advance(stallMsMax - 1);
    assert.equal(told(), false);
    await clock.advance(1);
    await assert.rejects(reading, (error) => Failure.is(error, "unavailable"));
    assert.deepEqual([got, told(), clock.pending], [[3, 4], true, 0]);
  });

  it("has all the time in the world for a reader that is slow itself", async () => {
    const clock = new VirtualClock();
    const got: number[] = [];
    for await (const { index } of impatient(numberedSource(), { clock, stallMsMax }).read(
      fourChunks,
      never,
    )) {
      got.push(index);
      await clock.advance(10 * stallMsMax);
    }
    assert.deepEqual([got, clock.pending], [[3, 4, 5, 6], 0]);
  });

  it("ends for a caller who leaves, and leaves no timer", async () => {
    const clock = new VirtualClock();
    const leaving = new AbortController();
    const got = readNumbers(impatient(stalling(3).source, { clock, stallMsMax }), leaving.signal);
    got.catch(() => {});
    await settled();
    leaving.abort(new Failure("cancelled", "gone"));
    await assert.rejects(got, (error) => Failure.is(error, "cancelled"));
    assert.equal(clock.pending, 0);
  });

  it("does the same for whole objects", async () => {
    const clock = new VirtualClock();
    const objects = {
      name: "bucket",
      async *read() {
        yield Buffer.from("first");
        await new Promise(() => {});
      },
    };
    const object = { kind: "blob", digest: "d", bytes: 1, build: "b" } as const;
    const got = Array.fromAsync(impatientObjects(objects, { clock, stallMsMax }).read(object, never));
    got.catch(() => {});
    await clock.advance(stallMsMax);
    await assert.rejects(got, (error) => Failure.is(error, "unavailable"));
  });
});

/** A source that never gives the chunk `before`, nor listens to anybody; it notes whether it was told to stop. */
function stalling(before: number) {
  let aborted = false;
  const source = {
    name: "stalling",
    async *read(request: typeof fourChunks, signal: AbortSignal) {
      signal.addEventListener("abort", () => void (aborted = true));
      for (let index = request.firstChunk; index < before; index++)
        yield { index, bytes: Uint8Array.of(index) };
      await new Promise(() => {});
    },
  };
  return { source, told: () => aborted };
}
