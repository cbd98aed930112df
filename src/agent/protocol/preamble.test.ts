import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  AnswerFinder,
  encodeAnswer,
  encodePreamble,
  PreambleSplitter,
  type Piece,
  SessionFinder,
} from "./preamble.ts";

const secret = Buffer.alloc(16, 1);
const next = Buffer.alloc(16, 2);
const nonce = Buffer.alloc(16, 3);

/** Feeds `stream` in reads of the given sizes, repeated. */
function split(splitter: PreambleSplitter, stream: Buffer, sizes: number[]): Piece[] {
  const seen: Piece[] = [];
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    seen.push(...splitter.push(Buffer.from(stream.subarray(at, at + size))));
    at += size;
  }
  return seen;
}

function bytesOf(pieces: Piece[]): Buffer {
  return Buffer.concat(pieces.map((piece) => (piece.kind === "bytes" ? piece.bytes : Buffer.alloc(0))));
}

const sizes = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 6 });

describe("PreambleSplitter", () => {
  it("finds a preamble among any bytes, however they are split over reads", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 90 }),
        fc.uint8Array({ maxLength: 90 }),
        sizes,
        (a, b, sizes) => {
          const whole = encodePreamble(secret, { nonce, nextSecret: next });
          const pieces = split(new PreambleSplitter(secret), Buffer.concat([a, whole, b]), sizes);
          const preambles = pieces.filter(({ kind }) => kind === "preamble");
          assert.deepEqual(preambles, [{ kind: "preamble", preamble: { nonce, nextSecret: next } }]);
          const after = pieces.slice(pieces.findIndex(({ kind }) => kind === "preamble") + 1);
          assert.deepEqual(
            bytesOf(after),
            Buffer.from(b),
            "what follows belongs to the new session, all of it",
          );
        },
      ),
    );
  });

  it("gives out each read at once and whole, even one that ends like a secret begins", () => {
    const few = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(few, { maxLength: 20 }), (reads) => {
        const splitter = new PreambleSplitter(secret);
        for (const read of reads) {
          const bytes = Buffer.from(read);
          assert.deepEqual(splitter.push(bytes), [{ kind: "bytes", bytes }]);
        }
      }),
    );
  });

  it("is not led astray by a preamble that was cut off in the middle", () => {
    for (let cut = 1; cut < 64; cut++) {
      const cutOff = encodePreamble(secret, { nonce: Buffer.alloc(16, 9), nextSecret: next }).subarray(
        0,
        cut,
      );
      const whole = encodePreamble(secret, { nonce, nextSecret: next });
      const pieces = split(new PreambleSplitter(secret), Buffer.concat([cutOff, whole]), [13]);
      assert.deepEqual(
        pieces.at(-1),
        { kind: "preamble", preamble: { nonce, nextSecret: next } },
        `cut ${cut}`,
      );
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
  it("takes only the answer to its own nonce and returns what follows it", () => {
    const finder = new AnswerFinder(nonce);
    const old = Buffer.alloc(16, 8);
    assert.equal(finder.push(Buffer.concat([Buffer.from("left over"), encodeAnswer(old)])), undefined);
    const answer = Buffer.concat([encodeAnswer(nonce), Buffer.from("PRI")]);
    for (const byte of answer.subarray(0, 31)) assert.equal(finder.push(Buffer.of(byte)), undefined);
    assert.equal(finder.push(answer.subarray(31))?.toString(), "PRI");
  });
});

describe("SessionFinder", () => {
  it("passes over what comes before a session, however it is split, and over nothing after its start", () => {
    const session = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand PRI * HTTP/2.0 again");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), sizes, (left, sizes) => {
        const finder = new SessionFinder();
        const stream = Buffer.concat([left, session]);
        const found: Buffer[] = [];
        for (let at = 0, turn = 0; at < stream.length; at += sizes[turn++ % sizes.length] ?? 1) {
          const read = stream.subarray(at, at + (sizes[turn % sizes.length] ?? 1));
          found.push(finder.push(Buffer.from(read)) ?? Buffer.alloc(0));
        }
        assert.deepEqual(Buffer.concat(found), session);
      }),
    );
  });
});
