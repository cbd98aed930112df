import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Failure } from "../base/failure.ts";
import { TestApi } from "./testing/test-api.ts";

function create(api: TestApi, signal: AbortSignal): Promise<Response> {
  return fetch(`${api.url}/v2/sandboxes`, {
    method: "POST",
    headers: { "x-api-key": "e2b_0123456789abcdef", "content-type": "application/json" },
    body: "{}",
    signal,
  });
}

describe("a client that hangs up", () => {
  it("during a create aborts it", async () => {
    await using api = await TestApi.start();
    const held = Promise.withResolvers<void>();
    api.sandboxes.held = held.promise;
    const hangUp = new AbortController();
    const call = create(api, hangUp.signal);
    while (api.sandboxes.signals[0] === undefined) await new Promise(setImmediate);
    const [signal] = api.sandboxes.signals;
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    hangUp.abort();
    await assert.rejects(call);
    await aborted;
    held.resolve();
    assert.equal((signal.reason as Failure).code, "cancelled");
  });

  it("after its sandbox was made, and before it knows, leaves none behind", async () => {
    await using api = await TestApi.start();
    const held = Promise.withResolvers<void>();
    api.sandboxes.held = held.promise;
    api.sandboxes.late = true;
    const hangUp = new AbortController();
    const call = create(api, hangUp.signal);
    while (api.sandboxes.signals[0] === undefined) await new Promise(setImmediate);
    const [signal] = api.sandboxes.signals;
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    const killed = new Promise<string>((resolve) => (api.sandboxes.onKill = resolve));
    hangUp.abort();
    await assert.rejects(call);
    await aborted;
    held.resolve();
    assert.equal(await api.sandboxes.kill(await killed), false, "it is gone");
  });
});
