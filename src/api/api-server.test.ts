import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { TestApi } from "./testing/test-api.ts";

describe("the API", () => {
  it("a create answers 201 with what the client needs, on both paths", async () => {
    await using api = await TestApi.start({ domain: "sbx.test:8443" });
    for (const path of ["/sandboxes", "/v2/sandboxes"]) {
      const { status, body } = await api.call("POST", path, { templateID: "base", secure: true });
      assert.equal(status, 201);
      const { sandboxID, ...rest } = body;
      assert.match(sandboxID, /^i\d+$/);
      assert.deepEqual(rest, {
        templateID: "t0base",
        clientID: "larder",
        alias: "base",
        envdVersion: "0.6.13",
        envdAccessToken: "token",
        domain: "sbx.test:8443",
      });
    }
  });

  it("the defaults of a create are the server's", async () => {
    await using api = await TestApi.start();
    await api.call("POST", "/v2/sandboxes", {});
    const lifecycle = { onTimeout: "kill", keepMemory: true, autoResume: false };
    const open = { secure: true, allowInternet: true, ingress: { public: true, httpsPorts: [] } };
    const defaults = { timeoutMs: 300_000, metadata: {}, envs: {}, ...open, lifecycle };
    assert.deepEqual(api.sandboxes.asked, [{ template: "base", ...defaults }]);
  });

  it("the oldest clients, which know of no token, get a sandbox that asks for none", async () => {
    await using api = await TestApi.start();
    const oldest = (await api.call("POST", "/sandboxes", { templateID: "base" })).body;
    assert.equal(oldest.envdAccessToken, undefined);
    const network = { allowPublicTraffic: false };
    assert.equal((await api.call("POST", "/sandboxes", { network })).body.envdAccessToken, "token");
  });

  it("fields that say what this server does anyway are accepted, as older clients send them", async () => {
    await using api = await TestApi.start();
    const usual = {
      secure: true,
      allow_internet_access: false,
      autoPause: false,
      autoResume: { enabled: false },
    };
    const more = { ...usual, network: { allowPublicTraffic: true }, volumeMounts: [], mcp: null };
    const { status } = await api.call("POST", "/sandboxes", { templateID: "base", timeout: 60, ...more });
    assert.equal(status, 201);
    assert.equal(api.sandboxes.asked[0]?.allowInternet, false);
    assert.equal(api.sandboxes.asked[0]?.timeoutMs, 60_000);
  });

  it("an unknown, wrong or unsupported field is refused by its name", async () => {
    await using api = await TestApi.start();
    const cases: [object, RegExp][] = [
      [{ tempalteID: "base" }, /^field 'tempalteID' is not known$/],
      [{ templateID: "base", nope: 1 }, /^field 'nope' is not known$/],
      [{ templateID: "base", network: { nope: 1 } }, /^field 'network\.nope' is not known$/],
      [
        { templateID: "base", network: { allowOut: ["1.1.1.1"] } },
        /^field 'network\.allowOut': .*not supported yet$/,
      ],
      [{ templateID: "base", volumeMounts: [{}] }, /^field 'volumeMounts': volumes are not supported yet$/],
      [{ templateID: "base", iam: { tokens: {} } }, /^field 'iam': workload identity is not supported yet$/],
      [{ templateID: "base", mcp: {} }, /^field 'mcp': MCP servers are not supported yet$/],
      [{ templateID: "base", autoPause: "yes" }, /^field 'autoPause': /],
      [{ templateID: "base", autoPauseMemory: false }, /^field 'autoPauseMemory': .*only with autoPause$/],
      [
        { templateID: "base", autoResume: { enabled: true } },
        /^field 'autoResume' says something only with autoPause$/,
      ],
      [{ templateID: "base", timeout: 0 }, /^field 'timeout': /],
      [{ templateID: "base", timeout: "60" }, /^field 'timeout': /],
      [{ templateID: 7 }, /^field 'templateID': /],
      [{ templateID: "base", metadata: { a: 1 } }, /^field 'metadata\.a': /],
      [{ templateID: "base", envVars: { "A=B": "" } }, /^field 'envVars\.A=B'/],
    ];
    for (const [sent, message] of cases) {
      const { status, body } = await api.call("POST", "/v2/sandboxes", sent);
      assert.deepEqual([status, body.code], [400, 400], JSON.stringify(sent));
      assert.match(body.message, message);
    }
    assert.equal(api.sandboxes.asked.length, 0);
  });

  it("a body that is no JSON, too large, or of another type is refused", async () => {
    await using api = await TestApi.start();
    assert.equal((await api.call("POST", "/sandboxes", "{")).status, 400);
    assert.equal((await api.call("POST", "/sandboxes", '{"__proto__":{"templateID":"base"}}')).status, 400);
    assert.equal((await api.call("POST", "/sandboxes", "[]")).status, 400);
    assert.equal((await api.call("POST", "/sandboxes", `"${"x".repeat(1024 * 1024)}"`)).status, 413);
    assert.equal((await api.call("POST", "/sandboxes", "a=b", { "content-type": "text/plain" })).status, 415);
  });

  it("a missing or wrong key gets 401, before anything else is looked at", async () => {
    await using api = await TestApi.start();
    for (const headers of [
      { "x-api-key": "" },
      { "x-api-key": "e2b_00" },
      { "x-api-key": "", authorization: "Bearer x" },
    ]) {
      const { status, body } = await api.call("POST", "/v2/sandboxes", { nope: 1 }, headers);
      assert.deepEqual([status, body.code], [401, 401]);
    }
    const bearer = { "x-api-key": "", authorization: "Bearer e2b_0123456789abcdef" };
    assert.equal((await api.call("GET", "/v2/sandboxes", undefined, bearer)).status, 200);
  });

  it("a failure becomes the status of its kind, and 429 says when to come again", async () => {
    await using api = await TestApi.start();
    const expected = {
      not_found: 404,
      unavailable: 503,
      exhausted: 429,
      conflict: 409,
      invalid: 400,
      denied: 403,
    };
    for (const [code, status] of Object.entries(expected)) {
      api.sandboxes.nextFailure = new Failure(code as keyof typeof expected, "because");
      const answer = await api.call("POST", "/v2/sandboxes", { templateID: "base" });
      assert.deepEqual([answer.status, answer.body], [status, { code: status, message: "because" }]);
      assert.equal(answer.headers.get("retry-after"), status === 429 ? "2" : null);
    }
  });

  it("a bug answers 500 without its details", async () => {
    await using api = await TestApi.start();
    api.sandboxes.nextFailure = new TypeError("secret detail");
    const { status, body } = await api.call("POST", "/v2/sandboxes", { templateID: "base" });
    assert.equal(status, 500);
    assert.doesNotMatch(body.message, /secret/);
  });

  it("a sandbox is paused once, and woken by connect (201) or resume, which is refused while it runs", async () => {
    await using api = await TestApi.start();
    const { sandboxID: id } = (await api.call("POST", "/sandboxes", {})).body;
    const status = async (path: string, body?: object) =>
      (await api.call("POST", `/sandboxes/${id}/${path}`, body)).status;
    assert.equal(await status("resume", { timeout: 10 }), 409);
    assert.equal(await status("pause", { memory: false }), 204);
    assert.deepEqual(api.sandboxes.pauses, [{ id, memory: false }]);
    assert.equal(await status("pause"), 409);
    assert.equal((await api.call("GET", `/sandboxes/${id}`)).body.state, "paused");
    assert.equal(await status("connect", { memory: false }), 201);
    assert.equal(await status("connect", {}), 200);
    assert.equal(await status("pause", {}), 204);
    assert.equal(await status("resume"), 201);
    assert.equal((await api.call("POST", "/sandboxes/i9999/pause")).status, 404);
  });

  it("an unknown route gets 404 with its name", async () => {
    await using api = await TestApi.start();
    const { status, body } = await api.call("GET", "/nope?x=1");
    assert.deepEqual([status, body], [404, { code: 404, message: "GET /nope is not known" }]);
    const malformed = await api.call("GET", "/%zz");
    assert.deepEqual([malformed.status, malformed.body.code], [400, 400]);
  });

  it("a sandbox is found, extended, shortened and ended, also by the id of the oldest clients", async () => {
    await using api = await TestApi.start();
    const { sandboxID: id } = (await api.call("POST", "/sandboxes", { templateID: "base" })).body;
    const started = Date.UTC(2026, 0, 1);
    const end = async () =>
      Date.parse((await api.call("GET", `/sandboxes/${id}-larder`)).body.endAt) - started;
    assert.equal(await end(), 300_000);
    assert.equal((await api.call("POST", `/v2/sandboxes/${id}/connect`, {})).status, 200);
    assert.equal((await api.call("POST", `/sandboxes/${id}/connect`, { timeout: 10 })).status, 200);
    assert.equal(await end(), 300_000);
    assert.equal((await api.call("POST", `/sandboxes/${id}/refreshes`, { duration: 400 })).status, 204);
    assert.equal(await end(), 400_000);
    assert.equal((await api.call("POST", `/sandboxes/${id}/timeout`, { timeout: 5 })).status, 204);
    assert.equal(await end(), 5_000);
    assert.equal((await api.call("DELETE", `/sandboxes/${id}`)).status, 204);
    const gone = { code: 404, message: `there is no sandbox '${id}'` };
    assert.deepEqual((await api.call("DELETE", `/sandboxes/${id}`)).body, gone);
    assert.deepEqual((await api.call("GET", `/sandboxes/${id}`)).body, gone);
    assert.equal((await api.call("POST", `/sandboxes/${id}/connect`)).status, 404);
  });

  it("a timeout of 0 ends the sandbox at once", async () => {
    await using api = await TestApi.start();
    const { sandboxID: id } = (await api.call("POST", "/sandboxes", {})).body;
    assert.equal((await api.call("POST", `/sandboxes/${id}/timeout`, { timeout: 0 })).status, 204);
    assert.equal((await api.call("GET", `/sandboxes/${id}`)).status, 404);
    assert.equal((await api.call("POST", `/sandboxes/${id}/timeout`, { timeout: 0 })).status, 404);
  });

  it("a body may be absent, empty or {}", async () => {
    await using api = await TestApi.start();
    const { sandboxID: id } = (await api.call("POST", "/sandboxes", { templateID: "base" })).body;
    const json = { "content-type": "application/json" };
    for (const body of [undefined, "", "{}"]) {
      const { status } = await api.call(
        "POST",
        `/v2/sandboxes/${id}/connect`,
        body,
        body === undefined ? {} : json,
      );
      assert.equal(status, 200, String(body));
    }
  });

  it("templates are listed and found by id and by name", async () => {
    await using api = await TestApi.start();
    const list = (await api.call("GET", "/templates?teamID=x")).body;
    assert.deepEqual([list.length, list[0].templateID, list[0].names], [1, "t0base", ["base"]]);
    assert.equal((await api.call("GET", "/templates/base")).body.builds[0].status, "ready");
    assert.deepEqual((await api.call("GET", "/templates/aliases/base")).body, {
      templateID: "t0base",
      public: false,
    });
    assert.equal((await api.call("GET", "/templates/aliases/nope")).status, 404);
  });

  it("health, description and front page need no key; metrics need none on loopback", async () => {
    await using api = await TestApi.start();
    assert.deepEqual(await (await fetch(`${api.url}/healthz`)).json(), { status: "ok", version: "0.0.0" });
    const description = (await (await fetch(`${api.url}/openapi.json`)).json()) as {
      paths: Record<string, object>;
    };
    assert.ok(description.paths["/v2/sandboxes/{id}/connect"]);
    assert.equal(description.paths["/volumes"], undefined);
    assert.match(await (await fetch(api.url, { headers: { accept: "text/html" } })).text(), /<h1>Larder/);
    assert.equal(await (await fetch(`${api.url}/metrics`)).text(), "larder_up 1\n");
  });

  it("metrics need the key when the daemon is not bound to loopback", async () => {
    await using api = await TestApi.start({ boundHost: "0.0.0.0" });
    assert.equal((await fetch(`${api.url}/metrics`)).status, 401);
    assert.equal(
      (await fetch(`${api.url}/metrics`, { headers: { "x-api-key": "e2b_0123456789abcdef" } })).status,
      200,
    );
  });

  it("a foreign Host header is refused, also for health and for sandboxes", async () => {
    await using api = await TestApi.start();
    for (const path of ["/healthz", "/v2/sandboxes"]) {
      assert.equal(await statusWithHost(api.server.port, path, "evil.example"), 421);
    }
    assert.equal(await statusWithHost(api.server.port, "/healthz", `localhost:${api.server.port}`), 200);
  });

  it("nothing is left after a close, which may be called twice", async () => {
    const before = takeCensus();
    const api = await TestApi.start();
    assert.equal(await statusWithHost(api.server.port, "/healthz", "localhost"), 200);
    await api.server.close();
    await api.server.close();
    api.server.destroy();
    await assertNothingLeft(before);
  });
});

function statusWithHost(port: number, path: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { host: "127.0.0.1", port, path, headers: { host }, agent: false },
      (answer) => {
        answer.resume();
        answer.once("end", () => resolve(answer.statusCode));
      },
    );
    outgoing.once("error", reject);
    outgoing.end();
  });
}
