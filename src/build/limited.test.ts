import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { faulty } from "../base/testing/faulty.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { chunkBytes } from "./artifact.ts";
import { limited } from "./limited.ts";
import { fourChunks, numberedSource, readNumbers } from "./testing/numbered-source.ts";

const never = new AbortController().signal;

describe("limited", () => {
  it("lets so many requests pass at a time, refuses more than may wait, and gives each place back", async () => {
    const { source, numbers, release } = stalling({
      requestsMax: 1,
      bytesInFlightMax: 2 ** 24,
      waitersMax: 1,
    });
    const first = readNumbers(source, never);
    const second = readNumbers(source, never);
    await settled();
    await assert.rejects(readNumbers(source, never), (error) => Failure.is(error, "exhausted"));
    assert.equal(numbers.asked.length, 0, "the first one is stalled, the second one waits for it");
    release();
    const all = [3, 4, 5, 6];
    assert.deepEqual(await Promise.all([first, second]), [all, all]);
  });

  it("bounds the bytes in flight, not the requests alone", async () => {
    const bytesInFlightMax = 7 * chunkBytes;
    const { source, numbers, release } = stalling({ requestsMax: 9, bytesInFlightMax, waitersMax: 9 });
    const first = readNumbers(source, never);
    const second = readNumbers(source, never);
    await settled();
    assert.equal(numbers.asked.length, 0, "two times four chunks are more than seven");
    release();
    await Promise.all([first, second]);
    assert.equal(numbers.asked.length, 2);
  });

  it("gives the place back when the reader stops early or leaves while it waits", async () => {
    const source = limited(numberedSource(), { requestsMax: 1, bytesInFlightMax: 2 ** 20, waitersMax: 9 });
    for await (const chunk of source.read(fourChunks, never)) if (chunk.index === 4) break;
    const controller = new AbortController();
    const { source: stalled, release } = stalling({
      requestsMax: 1,
      bytesInFlightMax: 2 ** 20,
      waitersMax: 9,
    });
    const first = readNumbers(stalled, never);
    const waiting = readNumbers(stalled, controller.signal);
    controller.abort(new Failure("cancelled", "gone"));
    await assert.rejects(waiting, (error) => Failure.is(error, "cancelled"));
    release();
    await first;
    assert.deepEqual(await readNumbers(source, never), [3, 4, 5, 6]);
    assert.deepEqual(await readNumbers(stalled, never), [3, 4, 5, 6]);
  });
});

/** A limited source whose first request stalls until it is released. */
function stalling(limits: Parameters<typeof limited>[1]) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const numbers = numberedSource();
  const stalled = faulty(numbers, (_method, _args, call) =>
    call === 1 ? { kind: "stall", until: promise } : undefined,
  );
  return { numbers, source: limited(stalled, limits), release: resolve };
}
