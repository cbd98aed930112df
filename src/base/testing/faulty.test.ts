import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../failure.ts";
import { type Fault, faulty } from "./faulty.ts";
import { settled } from "./virtual-clock.ts";

const never = new AbortController().signal;

/** Any interface will do: one method that promises, one that streams, one field. */
class Shelf {
  readonly name = "shelf";
  readonly #words = ["alpha", "beta"];

  async count(_signal: AbortSignal): Promise<number> {
    return this.#words.length;
  }

  async *read(_signal: AbortSignal): AsyncIterable<Uint8Array> {
    for (const word of this.#words) yield Buffer.from(word);
  }
}

describe("faulty", () => {
  it("lets through what the plan says nothing of", async () => {
    const shelf = faulty(new Shelf(), () => undefined);
    assert.deepEqual([shelf.name, await shelf.count(never), await text(shelf)], ["shelf", 2, "alpha beta"]);
  });

  it("fails the n-th call, or all until it is told otherwise", async () => {
    let fault: Fault | undefined;
    const shelf = faulty(new Shelf(), (_method, _args, call) =>
      call === 2 ? { kind: "fail", code: "not_found" } : fault,
    );
    assert.equal(await shelf.count(never), 2);
    await assert.rejects(shelf.count(never), (error) => Failure.is(error, "not_found"));
    fault = { kind: "fail", code: "unavailable" };
    await assert.rejects(shelf.count(never), (error) => Failure.is(error, "unavailable"));
    await assert.rejects(text(shelf), (error) => Failure.is(error, "unavailable"));
    fault = undefined;
    assert.equal(await text(shelf), "alpha beta");
  });

  it("stalls a call until it is released or its caller leaves", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const shelf = faulty(new Shelf(), () => ({ kind: "stall", until: promise }));
    const leaving = new AbortController();
    let counted = false;
    const left = shelf.count(leaving.signal);
    const stayed = shelf.count(never).then(() => (counted = true));
    leaving.abort(new Failure("cancelled", "gone"));
    await assert.rejects(left, (error) => Failure.is(error, "cancelled"));
    await settled();
    assert.equal(counted, false);
    resolve();
    assert.equal(await stayed, true);
  });

  it("truncates, corrupts and cuts off what is read", async () => {
    const changes: [(bytes: Uint8Array) => Uint8Array, string][] = [
      [(bytes) => bytes.subarray(0, 2), "al be"],
      [(bytes) => bytes.with(0, "X".charCodeAt(0)), "Xlpha Xeta"],
      [(bytes) => Buffer.concat([bytes, bytes]), "alphaalpha betabeta"],
    ];
    for (const [bytes, expected] of changes)
      assert.equal(await text(faulty(new Shelf(), () => ({ kind: "change", bytes }))), expected);
    const got: string[] = [];
    const bytes = (piece: Uint8Array) => {
      if (got.length === 1) throw new Failure("unavailable", "reset");
      return piece;
    };
    const reading = async () => {
      const shelf = faulty(new Shelf(), () => ({ kind: "change", bytes }));
      for await (const piece of shelf.read(never)) got.push(Buffer.from(piece).toString());
    };
    await assert.rejects(reading(), (error) => Failure.is(error, "unavailable"));
    assert.deepEqual(got, ["alpha"]);
  });
});

async function text(shelf: Shelf): Promise<string> {
  const words: string[] = [];
  for await (const piece of shelf.read(never)) words.push(Buffer.from(piece).toString());
  return words.join(" ");
}
