import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { firstOf } from "./first-of.ts";
import { fourChunks, numberedSource, readNumbers } from "./testing/numbered-source.ts";

const never = new AbortController().signal;

describe("firstOf", () => {
  it("asks nobody else while the first source answers", async () => {
    const second = numberedSource();
    assert.deepEqual(await readNumbers(firstOf([numberedSource(), second]), never), [3, 4, 5, 6]);
    assert.equal(second.asked.length, 0);
  });

  it("goes on with the next source behind what came already, whatever the kind of the failure", async () => {
    for (const code of ["unavailable", "not_found", "corrupt", "internal"] as const) {
      const second = numberedSource([], "bucket");
      const source = firstOf([numberedSource([{ before: 5, code }], "peer"), second]);
      assert.deepEqual(await readNumbers(source, never), [3, 4, 5, 6]);
      assert.deepEqual(second.asked, [{ ...fourChunks, firstChunk: 5, count: 2 }]);
    }
  });

  it("fails as its last source does", async () => {
    const peer = numberedSource([{ before: 3, code: "not_found" }]);
    const bucket = numberedSource([{ before: 4, code: "unavailable" }]);
    const got = readNumbers(firstOf([peer, bucket]), never);
    await assert.rejects(got, (error) => Failure.is(error, "unavailable"));
  });

  it("asks nobody else for a caller who has left", async () => {
    const controller = new AbortController();
    const second = numberedSource();
    const first = {
      name: "peer",
      // oxlint-disable-next-line require-yield -- it is left before it gives anything
      async *read() {
        controller.abort(new Failure("cancelled", "gone"));
        throw new Failure("unavailable", "a connection was reset");
      },
    };
    const got = readNumbers(firstOf([first, second]), controller.signal);
    await assert.rejects(got, (error) => Failure.is(error, "cancelled"));
    assert.equal(second.asked.length, 0);
  });
});
