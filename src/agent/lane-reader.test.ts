import assert from "node:assert/strict";
import type { ClientHttp2Stream } from "node:http2";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import type { GuestBytes } from "./guest-bytes.ts";
import { LaneReader } from "./lane-reader.ts";
import { encodeLength } from "./protocol/lane.ts";

const lane = { id: "1", mark: Buffer.alloc(16), address: 4096, slotBytes: 1000, slots: 2 };

/** The stream of a guest that sends what it is told, and what is written to it. */
function guest() {
  const stream = new Duplex({ read() {}, write: (_piece, _encoding, done) => done() });
  const closed = { code: 0 };
  const close = (code: number) => {
    closed.code = code;
    stream.destroy();
  };
  return { stream: Object.assign(stream, { close }) as unknown as ClientHttp2Stream, closed };
}

/** Reads as ones; from elsewhere nothing is read. */
const memory: GuestBytes = {
  isAtHand: async () => true,
  readNow: (address, into) => {
    assert.ok([8192, 9192].includes(address));
    into.fill(1);
  },
  writeNow: () => assert.fail(),
  [Symbol.asyncDispose]: async () => {},
};

describe("LaneReader", () => {
  it("gives up a guest that sends more than there is room for, or lengths that are none", async () => {
    for (const lengths of [[1, 1, 1], [1001], [0], [2 ** 32 - 1]]) {
      const { stream, closed } = guest();
      const reader = new LaneReader(stream, lane, memory);
      stream.push(Buffer.concat(lengths.map(encodeLength)));
      await assert.rejects(async () => {
        for await (const _ of reader);
      }, /does not keep to its lane/);
      assert.notEqual(closed.code, 0);
    }
  });

  it("ends with an error when the guest has not sent all, or its memory is gone", async () => {
    const { stream } = guest();
    const reader = new LaneReader(stream, lane, memory);
    stream.push(encodeLength(10));
    const reading = assert.rejects(async () => {
      for await (const each of reader as AsyncIterable<Buffer>) assert.deepEqual(each, Buffer.alloc(10, 1));
    }, /cut its answer short/);
    setImmediate(() => stream.destroy());
    await reading;
    const gone = { ...memory, readNow: () => assert.fail("it is gone") };
    const other = guest();
    const failing = new LaneReader(other.stream, lane, gone);
    other.stream.push(encodeLength(10));
    await assert.rejects(async () => {
      for await (const _ of failing);
    }, /it is gone/);
  });
});
