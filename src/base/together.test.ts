import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "./failure.ts";
import { settled } from "./testing/virtual-clock.ts";
import { together } from "./together.ts";

const never = new AbortController().signal;

describe("together", () => {
  it("gives the results in the order of the tasks", async () => {
    const first = Promise.withResolvers<number>();
    const both = together<[number, string]>([() => first.promise, async () => "two"], never);
    await settled();
    first.resolve(1);
    assert.deepEqual(await both, [1, "two"]);
  });

  it("aborts the others when one fails, waits for them, and throws the first failure", async () => {
    const slow = Promise.withResolvers<void>();
    let reason: unknown;
    const tasks = [
      async (signal: AbortSignal) => {
        await slow.promise;
        reason = signal.reason;
        signal.throwIfAborted();
      },
      () => Promise.reject(new Failure("not_found", "no such object")),
    ];
    let over = false;
    const all = together(tasks, never).finally(() => (over = true));
    all.catch(() => "looked at below");
    await settled();
    assert.equal(over, false, "it waits for the one that is still at work");
    slow.resolve();
    await assert.rejects(all, (error) => Failure.is(error, "not_found"));
    assert.ok(Failure.is(reason, "not_found"));
  });

  it("hands the caller's signal on", async () => {
    const reason = new Failure("cancelled", "the caller left");
    const task = async (signal: AbortSignal) => signal.throwIfAborted();
    await assert.rejects(together([task], AbortSignal.abort(reason)), reason);
  });
});
