import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FormSplitter } from "./form-splitter.ts";

/** Heads and contents of a form, however it was split over reads. */
function partsOf(form: Buffer, sizes: readonly number[], boundary = "b") {
  const splitter = new FormSplitter(boundary);
  const parts: { head: string; content: Buffer; ended: boolean }[] = [];
  for (let at = 0, turn = 0; at < form.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    for (const piece of splitter.push(form.subarray(at, at + size))) {
      if (piece.kind === "head") {
        parts.push({ head: piece.bytes.toString(), content: Buffer.alloc(0), ended: false });
        continue;
      }
      const part = parts.at(-1) ?? assert.fail("content before a head");
      if (piece.kind === "end") part.ended = true;
      else part.content = Buffer.concat([part.content, piece.bytes]);
    }
    at += size;
  }
  return { parts, isComplete: splitter.isComplete };
}

const formOf = (contents: readonly Uint8Array[], preamble = "") =>
  Buffer.concat([
    Buffer.from(preamble),
    ...contents.flatMap((content, at) => [
      Buffer.from(`--b\r\nn: ${at}\r\nm: 1\r\n\r\n`),
      content,
      Buffer.from("\r\n"),
    ]),
    Buffer.from("--b--\r\nepilogue"),
  ]);

/** Bytes that delimiters consist of, so that much looks like one. */
const alike = fc
  .array(fc.constantFrom(13, 10, 45, 98, 0), { maxLength: 30 })
  .map((bytes) => Buffer.from(bytes));
const content = alike.filter((bytes) => !bytes.includes("\r\n--b"));
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });

describe("FormSplitter", () => {
  it("finds each part and all of its bytes, however they are split over reads", () => {
    fc.assert(
      fc.property(fc.array(content, { maxLength: 4 }), sizes, (contents, sizes) => {
        const { parts, isComplete } = partsOf(formOf(contents, "preamble\r\n"), sizes);
        assert.ok(isComplete);
        const expected = contents.map((bytes, at) => ({
          head: `n: ${at}\r\nm: 1`,
          content: bytes,
          ended: true,
        }));
        assert.deepEqual(
          parts.map((part) => ({ ...part, content: Buffer.from(part.content) })),
          expected,
        );
      }),
    );
  });

  it("knows heads without fields, blanks after a boundary, and a form that is cut off", () => {
    const odd = partsOf(Buffer.from("--b \t\r\n\r\nbody\r\n--b--"), [100]);
    assert.deepEqual(odd.parts, [{ head: "", content: Buffer.from("body"), ended: true }]);
    assert.ok(odd.isComplete);
    const cut = partsOf(Buffer.from("--b\r\nn: 1\r\n\r\nbody\r\n--"), [100]);
    assert.deepEqual(cut.parts, [{ head: "n: 1", content: Buffer.from("body"), ended: false }]);
    assert.ok(!cut.isComplete);
  });

  it("refuses heads that do not end", () => {
    const head = Buffer.concat([Buffer.from("--b\r\n"), Buffer.alloc(20_000, 97)]);
    assert.throws(() => partsOf(head, [1000]), /too large/);
    assert.throws(
      () => partsOf(Buffer.concat([Buffer.from("--b"), Buffer.alloc(20_000, 97)]), [1000]),
      /not end/,
    );
  });
});
