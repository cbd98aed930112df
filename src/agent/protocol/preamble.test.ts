import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AnswerFinder, encodeAnswer, encodePreamble, PreambleSplitter, type Piece } from "./preamble.ts";

const secret = Buffer.alloc(16, 1);
const next = Buffer.alloc(16, 2);
const nonce = Buffer.alloc(16, 3);

/** Feeds `stream` in reads of the given sizes, repeated, and joins neighbouring bytes. */
function split(splitter: PreambleSplitter, stream: Buffer, sizes: number[]): (string | Piece)[] {
  const seen: (string | Piece)[] = [];
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    for (const piece of splitter.push(Buffer.from(stream.subarray(at, at + size)))) {
      if (piece.kind === "preamble") seen.push(piece);
      else if (typeof seen.at(-1) === "string") seen.push(`${seen.pop()}${piece.bytes.toString("hex")}`);
      else seen.push(piece.bytes.toString("hex"));
    }
    at += size;
  }
  return seen;
}

const sizes = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 6 });

describe("PreambleSplitter", () => {
  it("finds a preamble among any bytes, however they are split over reads", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), fc.uint8Array({ maxLength: 90 }), sizes, (a, b, sizes) => {
        const before = Buffer.from(a.map((byte) => byte | 0x80));
        const after = Buffer.from(b.map((byte) => byte | 0x80));
        const stream = Buffer.concat([before, encodePreamble(secret, { nonce, nextSecret: next }), after]);
        const expected = [
          ...(before.length > 0 ? [before.toString("hex")] : []),
          { kind: "preamble", preamble: { nonce, nextSecret: next } },
          ...(after.length > 0 ? [after.toString("hex")] : []),
        ];
        assert.deepEqual(split(new PreambleSplitter(secret), stream, sizes), expected);
      }),
    );
  });

  it("never loses a byte of a stream without preambles but the start of a secret at its very end", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 200 }), sizes, (numbers, sizes) => {
        const stream = Buffer.from(numbers);
        const seen = split(new PreambleSplitter(secret), stream, sizes).join("");
        assert.ok(stream.toString("hex").startsWith(seen));
        assert.ok(stream.length - seen.length / 2 < 64);
      }),
    );
  });

  it("is not led astray by a preamble that was cut off in the middle", () => {
    for (let cut = 1; cut < 64; cut++) {
      const cutOff = encodePreamble(secret, { nonce: Buffer.alloc(16, 9), nextSecret: next }).subarray(0, cut);
      const whole = encodePreamble(secret, { nonce, nextSecret: next });
      const seen = split(new PreambleSplitter(secret), Buffer.concat([cutOff, whole]), [13]);
      assert.deepEqual(seen.at(-1), { kind: "preamble", preamble: { nonce, nextSecret: next } }, `cut ${cut}`);
    }
  });

  it("accepts the old secret again until the session is confirmed, and only its successor after that", () => {
    const splitter = new PreambleSplitter(secret);
    const kinds = (bytes: Buffer) => splitter.push(bytes).map((piece) => piece.kind);
    assert.deepEqual(kinds(encodePreamble(secret, { nonce, nextSecret: next })), ["preamble"]);
    assert.deepEqual(kinds(encodePreamble(secret, { nonce, nextSecret: next })), ["preamble"]);
    assert.deepEqual(kinds(encodePreamble(next, { nonce, nextSecret: next })), ["preamble"]);
    splitter.confirm();
    assert.deepEqual(kinds(encodePreamble(secret, { nonce, nextSecret: secret })), ["bytes"]);
    assert.deepEqual(kinds(encodePreamble(next, { nonce, nextSecret: next })), ["preamble"]);
  });
});

describe("AnswerFinder", () => {
  it("takes only the answer to the newest nonce and returns what follows it", () => {
    const finder = new AnswerFinder();
    const old = Buffer.alloc(16, 8);
    finder.expect(old);
    finder.expect(nonce);
    assert.equal(finder.push(Buffer.concat([Buffer.from("left over"), encodeAnswer(old)])), undefined);
    const answer = Buffer.concat([encodeAnswer(nonce), Buffer.from("PRI")]);
    for (const byte of answer.subarray(0, 31)) assert.equal(finder.push(Buffer.of(byte)), undefined);
    assert.equal(finder.push(answer.subarray(31))?.toString(), "PRI");
  });
});
