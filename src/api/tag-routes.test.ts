import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Template } from "e2b";
import { TestApi, testKey } from "./testing/test-api.ts";

describe("templates", () => {
  it("get tags and lose them, as the package asks for it", async () => {
    await using api = await TestApi.start();
    const options = { apiKey: testKey, apiUrl: api.url };
    const { tags } = await Template.assignTags("base", ["v1", "v2"], options);
    assert.deepEqual(tags, ["v1", "v2"]);
    await Template.removeTags("base", "v1", options);
    const left = await Template.getTags("base", options);
    assert.deepEqual(
      left.map(({ tag }) => tag),
      ["default", "v2"],
    );
    const bad = [
      { target: "base", tags: [] },
      { target: ":x", tags: ["a"] },
      { target: "base", tags: ["a b"] },
    ];
    for (const body of bad) assert.equal((await api.call("POST", "/templates/tags", body)).status, 400);
    assert.equal((await api.call("POST", "/templates/tags", { target: "nope", tags: ["a"] })).status, 404);
  });

  it("are listed page by page", async () => {
    await using api = await TestApi.start();
    const page = await api.call("GET", "/v2/templates?limit=1");
    assert.deepEqual([page.body.length, page.headers.get("x-next-token")], [1, null]);
    assert.deepEqual((await api.call("GET", "/v2/templates?nextToken=t0base")).body, []);
  });

  it("are deleted once, and never made public", async () => {
    await using api = await TestApi.start();
    const kept = await api.call("PATCH", "/v2/templates/base", { public: false });
    assert.deepEqual([kept.status, kept.body], [200, { names: ["base"] }]);
    const refused = await api.call("PATCH", "/v2/templates/base", { public: true });
    assert.deepEqual(
      [refused.status, refused.body.message],
      [400, "field 'public': public templates are not supported yet"],
    );
    assert.equal((await api.call("DELETE", "/templates/base")).status, 204);
    assert.equal((await api.call("DELETE", "/templates/base")).status, 404);
  });
});

describe("the owner", () => {
  it("is the one team, with the key that was shown", async () => {
    await using api = await TestApi.start();
    const team = { teamID: "larder", name: "larder", apiKey: testKey, isDefault: true };
    assert.deepEqual((await api.call("GET", "/teams")).body, [team]);
  });
});

describe("the network of a sandbox", () => {
  it("may be set to no rules, or to let nothing out; other rules are refused by name", async () => {
    await using api = await TestApi.start();
    await api.call("POST", "/v2/sandboxes", {});
    const put = (body: object) => api.call("PUT", "/sandboxes/i0001/network", body);
    const allowed = async (body: object) => {
      assert.equal((await put(body)).status, 204);
      return (await api.call("GET", "/sandboxes/i0001")).body.allowInternetAccess;
    };
    for (const body of [{ denyOut: ["0.0.0.0/0"] }, { allow_internet_access: false }]) {
      assert.equal(await allowed(body), false);
      assert.equal(await allowed({}), true, "what is not asked for is not in force");
    }
    assert.equal(
      await allowed({ allowOut: [], denyOut: null, rules: {}, allow_internet_access: true }),
      true,
    );
    for (const body of [{ denyOut: ["8.8.8.8"] }, { allowOut: ["1.1.1.1"] }, { egressProxy: {} }])
      assert.match((await put(body)).body.message, /^field '(denyOut|allowOut|egressProxy)': /);
    assert.equal((await api.call("PUT", "/sandboxes/inone/network", {})).status, 404);
  });
});
