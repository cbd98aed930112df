import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { abortable, abortableOrGivenBack } from "./abortable.ts";
import { deadline } from "./deadline.ts";
import { Failure } from "./failure.ts";
import { settled, VirtualClock } from "./testing/virtual-clock.ts";

describe("abortable", () => {
  it("ends the wait with the signal's reason and leaves the work alone", async () => {
    const work = Promise.withResolvers<number>();
    const controller = new AbortController();
    const wait = abortable(work.promise, controller.signal);
    controller.abort(new Failure("cancelled", "the caller left"));
    await assert.rejects(wait, (error) => Failure.is(error, "cancelled"));
    work.resolve(1);
    assert.equal(await work.promise, 1);
  });

  it("gives back a value that came after its caller left", async () => {
    const work = Promise.withResolvers<string>();
    const controller = new AbortController();
    const given: string[] = [];
    const wait = abortableOrGivenBack(work.promise, (value) => void given.push(value), controller.signal);
    controller.abort();
    await assert.rejects(wait, { name: "AbortError" });
    work.resolve("lease");
    await settled();
    assert.deepEqual(given, ["lease"]);
  });
});

describe("deadline", () => {
  it("aborts with `unavailable` when its time is over and leaves no timer when disposed of", async () => {
    const clock = new VirtualClock();
    const first = deadline(clock, 100, "the guest's answer");
    await clock.advance(100);
    assert.ok(Failure.is(first.signal.reason, "unavailable"));
    const second = deadline(clock, 100, "the guest's answer");
    second[Symbol.dispose]();
    assert.equal(clock.pending, 0);
    assert.equal(second.signal.aborted, false);
  });

  it("follows its parent", () => {
    const parent = AbortSignal.abort(new Failure("cancelled", "gone"));
    using child = deadline(new VirtualClock(), 100, "anything", parent);
    assert.ok(Failure.is(child.signal.reason, "cancelled"));
  });
});

describe("Failure.from", () => {
  it("knows what an errno, an abort and a timeout mean", () => {
    const errno = (code: string) => Object.assign(new Error("x"), { code });
    assert.equal(Failure.from(errno("ENOSPC")).code, "exhausted");
    assert.equal(Failure.from(errno("ECONNRESET")).code, "unavailable");
    assert.equal(Failure.from(errno("EWHATEVER")).code, "internal");
    assert.equal(Failure.from(new DOMException("x", "AbortError")).code, "cancelled");
    const failure = new Failure("corrupt", "chunk 3 is not what its digest says");
    assert.equal(Failure.from(failure), failure);
  });
});
