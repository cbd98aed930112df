import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { describe, it } from "node:test";
import { TestApi } from "./testing/test-api.ts";

const page = readFileSync(new URL("../../docs/compatibility.md", import.meta.url), "utf8");

/** `GET /path` → what the table of calls says of it. */
function statedCalls(): Map<string, string> {
  const start = page.indexOf("## API\n");
  const table = page.slice(start, page.indexOf("\n## ", start + 1));
  const stated = new Map<string, string>();
  for (const [, calls = "", state = ""] of table.matchAll(/^\| (`[^|]+) \| ([^|]+) \|$/gm)) {
    for (const [, call = ""] of calls.matchAll(/`([A-Z]+ \/[^`]*)`/g)) stated.set(call, state);
  }
  return stated;
}

/** Every call of the API that the newest package has a type for; the agent's own are not among them. */
function callsOfThePackage(): string[] {
  const main = createRequire(import.meta.url).resolve("e2b");
  const types = readFileSync(path.join(path.dirname(main), "index.d.ts"), "utf8");
  const agents = new Set(["/health", "/metrics", "/init", "/envs", "/files", "/files/compose"]);
  const calls: string[] = [];
  for (const [, url = "", body = ""] of types.matchAll(/^ {2}"(\/[^"]*)": \{\n(.*?)^ {2}\};/gms)) {
    if (agents.has(url)) continue;
    for (const [, method = ""] of body.matchAll(/^ {4}(get|post|put|patch|delete): \{/gm))
      calls.push(`${method.toUpperCase()} ${url}`);
  }
  return calls;
}

/** Names of parameters differ from page to page; what they stand for does not. */
function withoutNames(call: string): string {
  return call.replace(/\{[^}]*\}/g, "{}");
}

describe("the page on compatibility", () => {
  it("says of each call what the server really answers", async () => {
    await using api = await TestApi.start();
    const wrong: string[] = [];
    await api.call("POST", "/v2/sandboxes", {});
    for (const [call, state] of statedCalls()) {
      const [method = "", pattern = ""] = call.split(" ");
      const target = pattern.replace("{id}", pattern.startsWith("/sandboxes") ? "i0001" : "base");
      const { status, body } = await api.call(method, target.replaceAll(/\{[^}]*\}/g, "x"));
      const refused = status === 501 && body.message.endsWith(" not supported yet");
      const unknown = status === 404 && (body?.message ?? "").endsWith(" is not known");
      if (unknown || refused !== state.startsWith("no")) wrong.push(`${call} is '${state}': ${status}`);
    }
    assert.deepEqual(wrong, []);
  });

  it("lists every call that the newest package knows", () => {
    const stated = new Set([...statedCalls().keys()].map(withoutNames));
    const calls = callsOfThePackage();
    assert.ok(calls.length > 40, `only ${calls.length} calls were found`);
    assert.deepEqual(
      calls.filter((call) => !stated.has(withoutNames(call))),
      [],
    );
  });
});
