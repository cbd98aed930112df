import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestApi } from "./testing/test-api.ts";

describe("lists of sandboxes", () => {
  it("the oldest list holds all that run, however many pages that is", async () => {
    await using api = await TestApi.start();
    for (let i = 0; i < 103; i++) await api.call("POST", "/sandboxes", { metadata: { odd: String(i % 2) } });
    assert.equal((await api.call("GET", "/sandboxes")).body.length, 103);
    assert.equal((await api.call("GET", "/sandboxes?metadata=odd%3D1")).body.length, 51);
  });

  it("a page says where the next one begins, until there is none", async () => {
    await using api = await TestApi.start();
    for (let i = 0; i < 3; i++) await api.call("POST", "/sandboxes", {});
    const first = await api.call("GET", "/v2/sandboxes?limit=2");
    assert.deepEqual([first.body.length, first.headers.get("x-next-token")], [2, "i0002"]);
    const second = await api.call("GET", "/v2/sandboxes?limit=2&nextToken=i0002");
    assert.deepEqual([second.body.length, second.headers.get("x-next-token")], [1, null]);
  });

  it("a query that is wrong or unknown is refused by name", async () => {
    await using api = await TestApi.start();
    const cases: [string, RegExp][] = [
      ["limit=0", /^field 'limit': /],
      ["limit=101", /^field 'limit': /],
      ["limit=x", /^field 'limit': /],
      ["state=running,dead", /^field 'state\.1': /],
      ["order=up", /^field 'order': /],
      ["startedAfter=yesterday", /^field 'startedAfter': /],
      ["metadata=a%3D%25zz", /^field 'metadata': '%zz' is not percent-encoded$/],
      ["colour=red", /^field 'colour' is not known$/],
    ];
    for (const [query, message] of cases) {
      const { status, body } = await api.call("GET", `/v2/sandboxes?${query}`);
      assert.deepEqual([status, body.code], [400, 400], query);
      assert.match(body.message, message);
    }
  });
});
