import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { opcode } from "./fuse-protocol.ts";
import { parseRequest } from "./fuse-request.ts";
import { encodeRequest, readBody } from "./testing/fuse-requests.ts";

describe("parseRequest", () => {
  it("reads who asks, and for which bytes", () => {
    const request = encodeRequest({ code: opcode.read, unique: 7n, thread: 42, body: readBody(8192, 4096) });
    const wish = { kind: "read", offset: 8192, bytes: 4096 };
    assert.deepEqual(parseRequest(request), { unique: 7n, thread: 42, ...wish });
  });

  it("knows what needs no answer, and what it does not know", () => {
    for (const code of [opcode.forget, opcode.batchForget, opcode.interrupt])
      assert.equal(parseRequest(encodeRequest({ code, body: Buffer.alloc(16) }))?.kind, "note");
    assert.deepEqual(parseRequest(encodeRequest({ code: 4711, unique: 3n })), {
      ...{ unique: 3n, thread: 1, kind: "unknown", opcode: 4711 },
    });
  });

  it("refuses what is cut off, too long, or beyond all files", () => {
    const whole = encodeRequest({ code: opcode.read, body: readBody(0, 4096) });
    for (let bytes = 0; bytes < whole.length; bytes++) {
      const cut = Buffer.from(whole.subarray(0, bytes));
      assert.equal(parseRequest(cut), undefined);
      if (bytes >= 4) cut.writeUInt32LE(bytes, 0);
      assert.equal(parseRequest(cut), undefined, `${bytes} bytes that say so`);
    }
    assert.equal(parseRequest(Buffer.concat([whole, Buffer.alloc(1)])), undefined);
    const far = encodeRequest({ code: opcode.read, body: readBody(2n ** 60n, 4096) });
    assert.equal(parseRequest(far), undefined);
  });

  it("never fails for any bytes", () => {
    const random = new SeededRandom(3);
    for (let i = 0; i < 2_000; i++) {
      const bytes = Buffer.from(random.bytes(random.below(120)));
      if (bytes.length >= 8) {
        bytes.writeUInt32LE(bytes.length, 0);
        bytes.writeUInt32LE(random.below(60), 4);
      }
      parseRequest(bytes);
    }
  });
});
