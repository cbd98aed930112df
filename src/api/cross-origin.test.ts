import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { TestApi } from "./testing/test-api.ts";

const page = "https://app.example.org";
const question = {
  origin: page,
  "access-control-request-method": "POST",
  "access-control-request-headers": "x-api-key, authorization",
};

describe("a page of another origin", () => {
  it("may ask the API with a key, and is told so without one", async () => {
    await using api = await TestApi.start();
    const told = await fetch(`${api.url}/v2/sandboxes`, { method: "OPTIONS", headers: question });
    assert.equal(told.status, 204);
    assert.equal(told.headers.get("access-control-allow-origin"), "*");
    assert.equal(told.headers.get("access-control-allow-methods"), "POST");
    assert.equal(told.headers.get("access-control-allow-headers"), "x-api-key, authorization");
    const asked = await api.call("GET", "/v2/sandboxes", undefined, { origin: page });
    assert.deepEqual([asked.status, asked.headers.get("access-control-allow-origin")], [200, "*"]);
    const keyless = await fetch(`${api.url}/v2/sandboxes`, { headers: { origin: page } });
    assert.equal(keyless.status, 401);
  });

  it("may ask the agent of a sandbox", async () => {
    await using api = await TestApi.start();
    await api.call("POST", "/v2/sandboxes", {});
    const asked: string[] = [];
    api.sandboxes.guest = {
      request: async ({ method, path }) => {
        asked.push(`${method} ${path}`);
        return { status: 200, headers: {}, body: Readable.from([Buffer.from("kept")]) };
      },
      connectPort: () => Promise.reject(new Error("nobody asks for ports")),
    };
    const to = { "e2b-sandbox-id": "i0001", "e2b-sandbox-port": "49983" };
    const url = `${api.url}/files?path=a`;
    const told = await fetch(url, { method: "OPTIONS", headers: { ...to, ...question } });
    assert.deepEqual([told.status, told.headers.get("access-control-allow-origin"), asked], [204, "*", []]);
    const answer = await fetch(url, { headers: { ...to, origin: page } });
    assert.deepEqual([await answer.text(), answer.headers.get("access-control-allow-origin")], ["kept", "*"]);
  });

  it("reads nothing that is there for everybody on this machine", async () => {
    await using api = await TestApi.start();
    for (const path of ["/healthz", "/metrics", "/"]) {
      const { headers } = await fetch(`${api.url}${path}`, { headers: { origin: page } });
      assert.equal(headers.get("access-control-allow-origin"), null, path);
    }
    const strange = await fetch(`${api.url}/nowhere`, { method: "OPTIONS", headers: { origin: page } });
    assert.equal(strange.status, 404, "one that asks for nothing is no question");
  });
});
