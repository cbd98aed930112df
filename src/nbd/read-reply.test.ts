import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { joinedExtents } from "./joined-extents.ts";
import { command, magic } from "./protocol.ts";
import { layOutRead, piecesOf, readReplyBytes } from "./read-reply.ts";
import { dataOf, structuredReplies } from "./testing/reply-parser.ts";

const anyExtents = fc.array(fc.record({ bytes: fc.nat(300), zero: fc.boolean() }), { maxLength: 8 });

describe("joinedExtents", () => {
  it("says of each byte what was said before, in as few extents as can be", () => {
    fc.assert(
      fc.property(anyExtents, fc.nat(1000), (extents, bytes) => {
        const flat = (list: typeof extents) => list.flatMap((e) => Array<boolean>(e.bytes).fill(e.zero));
        const joined = joinedExtents(extents, bytes);
        assert.deepEqual(flat(joined), flat(extents).slice(0, bytes));
        assert.ok(joined.every((extent, i) => extent.bytes > 0 && extent.zero !== joined[i - 1]?.zero));
      }),
    );
  });
});

describe("the reply to a read", () => {
  it("carries each byte once, whatever the device says of its extents", () => {
    const offset = fc.oneof(fc.nat(5000), fc.constant(2 ** 32 - 10), fc.constant(7 * 2 ** 32 + 1));
    fc.assert(
      fc.property(anyExtents, offset, fc.integer({ min: 1, max: 700 }), (extents, offset, bytes) => {
        const request = { command: command.read, flags: 0, cookie: 77n, offset, bytes };
        const pieces = piecesOf(request, extents);
        const into = Buffer.alloc(readReplyBytes(true, pieces), 0xee);
        for (const target of layOutRead(true, 77n, pieces, into)) {
          for (let i = 0; i < target.into.length; i++) target.into[i] = (target.offset + i) % 251;
        }
        const [reply] = structuredReplies(into);
        assert.ok(reply !== undefined);
        assert.equal(reply.cookie, 77n);
        assert.equal(reply.stretches[0]?.offset, offset);
        const zero = joinedExtents(extents, bytes).flatMap((e) => Array<boolean>(e.bytes).fill(e.zero));
        const expected = Array.from({ length: bytes }, (_, i) => (zero[i] ? 0 : (offset + i) % 251));
        assert.deepEqual([...dataOf(reply)], expected);
      }),
    );
  });

  it("is a header and the bytes when it has no structure", () => {
    const request = { command: command.read, flags: 0, cookie: 5n, offset: 100, bytes: 3 };
    const pieces = piecesOf(request, []);
    const into = Buffer.alloc(readReplyBytes(false, pieces));
    for (const target of layOutRead(false, 5n, pieces, into)) target.into.fill("x");
    assert.equal(into.readUInt32BE(0), magic.simpleReply);
    assert.equal(into.readUInt32BE(4), 0);
    assert.equal(into.readBigUInt64BE(8), 5n);
    assert.equal(into.subarray(16).toString(), "xxx");
  });
});
