import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestApi } from "./testing/test-api.ts";

const autoPause = { autoPause: true, autoResume: { enabled: true } };

/** A request to a sandbox's agent or port, by headers. */
async function ask(api: TestApi, id: string, port: number, headers: Record<string, string> = {}) {
  const to = { "e2b-sandbox-id": id, "e2b-sandbox-port": String(port) };
  const answer = await fetch(`${api.url}/health`, { headers: { ...to, ...headers } });
  await answer.arrayBuffer();
  return answer.status;
}

describe("traffic to a sandbox that sleeps", () => {
  it("wakes it if it was made so; the agent's only with its token", async () => {
    await using api = await TestApi.start();
    const { sandboxID: id, envdAccessToken } = (await api.call("POST", "/v2/sandboxes", autoPause)).body;
    assert.deepEqual((await api.call("GET", `/sandboxes/${id}`)).body.lifecycle, {
      autoResume: true,
      onTimeout: "pause",
    });
    const state = async () => (await api.call("GET", `/sandboxes/${id}`)).body.state;
    await api.call("POST", `/sandboxes/${id}/pause`);
    assert.equal(await ask(api, id, 49983), 502);
    assert.equal(await ask(api, id, 49983, { "x-access-token": "wrong" }), 502);
    assert.equal(await state(), "paused");
    await ask(api, id, 49983, { "x-access-token": envdAccessToken });
    assert.equal(await state(), "running");
    await api.call("POST", `/sandboxes/${id}/pause`);
    await ask(api, id, 3000);
    assert.equal(await state(), "running");
  });

  it("is told that it is not there when it is not to be woken", async () => {
    await using api = await TestApi.start();
    const { sandboxID: id } = (await api.call("POST", "/sandboxes", {})).body;
    await api.call("POST", `/sandboxes/${id}/pause`);
    assert.equal(await ask(api, id, 3000), 502);
    assert.equal((await api.call("GET", `/sandboxes/${id}`)).body.state, "paused");
  });
});
