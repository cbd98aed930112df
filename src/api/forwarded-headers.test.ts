import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentHeaders, answerHeaders, endToEnd, portHeaders } from "./forwarded-headers.ts";

describe("endToEnd", () => {
  it("headers of the connection stay behind, and those that Connection names", () => {
    const raw = [
      "Host",
      "a",
      "Connection",
      "close, X-Hop",
      "X-Hop",
      "1",
      "Transfer-Encoding",
      "chunked",
      "X-End",
      "2",
    ];
    assert.deepEqual(endToEnd(raw), ["Host", "a", "X-End", "2"]);
  });
});

describe("portHeaders", () => {
  it("a server reads Host with a capital, once and first, whoever asked and however", () => {
    const asked = { raw: ["x-a", "1", "host", "h", "HOST", "i"], authority: "h", maskHost: undefined };
    assert.deepEqual(portHeaders(asked), ["Host", "h", "x-a", "1"]);
    assert.deepEqual(portHeaders({ ...asked, maskHost: "m:80" }), ["Host", "m:80", "x-a", "1"]);
    const overH2 = { ...asked, raw: [":authority", "h", "x-a", "1"] };
    assert.deepEqual(portHeaders(overH2), ["Host", "h", "x-a", "1"]);
  });
});

describe("agentHeaders", () => {
  it("an agent never sees the API key, nor what routed the request", () => {
    const raw = [
      "Host",
      "a",
      "X-API-KEY",
      "e2b_0",
      "E2b-Sandbox-Id",
      "i",
      "E2b-Sandbox-Port",
      "49983",
      "X-Access-Token",
      "t",
    ];
    assert.deepEqual({ ...agentHeaders(raw) }, { "x-access-token": "t" });
  });

  it("a header that comes twice goes on twice, also one named like a part of every object", () => {
    const fields = agentHeaders(["X-A", "1", "x-a", "2", "__proto__", "3", "x-a", "4"]);
    assert.deepEqual(Object.entries(fields), [
      ["x-a", ["1", "2", "4"]],
      ["__proto__", "3"],
    ]);
  });
});

describe("answerHeaders", () => {
  it("an answer loses pseudo-headers and what a guest may not say about our connection", () => {
    const fields = {
      ":status": "200",
      "content-type": "a/b",
      connection: "close",
      "set-cookie": ["x", "y"],
      gone: undefined,
    };
    assert.deepEqual(answerHeaders(fields), ["content-type", "a/b", "set-cookie", "x", "set-cookie", "y"]);
  });
});
