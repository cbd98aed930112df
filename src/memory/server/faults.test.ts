import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { settled, VirtualClock } from "../../base/testing/virtual-clock.ts";
import { chunkBytes } from "../../build/artifact.ts";
import type { FaultNews } from "../wire.ts";
import { Faults } from "./faults.ts";

/** Chunks of a byte of their number, that come when the test lets them; and what everybody else is told. */
function scene() {
  const clock = new VirtualClock();
  const coming = new Map<number, PromiseWithResolvers<Uint8Array>>();
  const log: string[] = [];
  const ending = new Set<number>();
  const wait = (chunk: number) => {
    const one = coming.get(chunk) ?? Promise.withResolvers<Uint8Array>();
    coming.set(chunk, one);
    return one;
  };
  const touched: number[] = [];
  const waiters = {
    mayEnd: true,
    end(thread: number): boolean {
      if (waiters.mayEnd) log.push(`killed ${thread}`);
      if (waiters.mayEnd) ending.add(thread);
      return waiters.mayEnd;
    },
    isEnding: (thread: number) => ending.has(thread),
    processOf: (thread: number) => thread + 100,
  };
  const faults = new Faults({
    store: { now: () => undefined, bytes: (chunk) => wait(chunk).promise },
    reply: (reply) => {
      const error = reply.readInt32LE(4);
      const bytes = reply.subarray(16);
      const what = error === 0 ? `${bytes.length} bytes ${bytes[0]} to ${bytes.at(-1)}` : `error ${error}`;
      log.push(`${reply.readBigUInt64LE(8)}: ${what}`);
    },
    onTouch: (chunk) => touched.push(chunk),
    tell: (chunk, { pid, what }: FaultNews) => log.push(`${what} ${pid} chunk ${chunk}`),
    waiters,
    clock,
    stalledMs: 2_000,
    withheldMsMax: 60_000,
  });
  const read = (unique: bigint, thread: number, offset: number, bytes = 4096) =>
    faults.take({ unique, thread, offset, bytes });
  const give = async (chunk: number) => {
    wait(chunk).resolve(Buffer.alloc(chunkBytes, chunk));
    await settled();
  };
  return { clock, ending, faults, give, log, read, touched, waiters };
}

describe("Faults", () => {
  it("C29: are answered with the bytes, from two chunks if need be, when all of them are there", async () => {
    const { faults, give, log, read, touched } = scene();
    read(1n, 11, 3 * chunkBytes - 4096, 8192);
    read(2n, 12, 2 * chunkBytes);
    await give(2);
    assert.deepEqual(log, ["2: 4096 bytes 2 to 2"]);
    await give(3);
    assert.deepEqual(log.slice(1), ["1: 8192 bytes 2 to 3"]);
    assert.deepEqual([faults.waiting, touched], [0, [2, 3]]);
  });

  it("C29: are withheld and told of as stalled; who has waited too long is ended before any error", async () => {
    const { clock, faults, give, log, read } = scene();
    read(1n, 11, 0);
    await clock.advance(59_900);
    assert.deepEqual(log, ["stalled 111 chunk 0"]);
    await clock.advance(200);
    assert.deepEqual(log.slice(1), ["killed 11", "ended 111 chunk 0", "1: error -5"]);
    await give(0);
    assert.deepEqual([log.length, faults.waiting, clock.pending], [4, 0, 0], "it is answered once");
  });

  it("that were stalled are told of when they are answered after all", async () => {
    const { clock, give, log, read } = scene();
    read(1n, 11, 0);
    await clock.advance(3_000);
    await give(0);
    assert.deepEqual(log, ["stalled 111 chunk 0", "1: 4096 bytes 0 to 0", "answered 111 chunk 0"]);
  });

  it("C29: of whoever is being ended let go at once, so that it can end", async () => {
    const { clock, ending, log, read } = scene();
    read(1n, 11, 0);
    read(2n, 12, 0);
    ending.add(11);
    await clock.advance(100);
    assert.deepEqual(log, ["1: error -5"]);
  });

  it("C29: of whoever cannot be ended are withheld for good", async () => {
    const { clock, faults, log, read, waiters } = scene();
    waiters.mayEnd = false;
    read(1n, 11, 0);
    await clock.advance(200_000);
    assert.deepEqual([log, faults.waiting], [["stalled 111 chunk 0"], 1]);
  });
});
