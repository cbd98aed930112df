import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestApi } from "./testing/test-api.ts";

describe("logs of a sandbox", () => {
  it("are told in both forms, from a time on, and filtered", async () => {
    await using api = await TestApi.start();
    const at = (atMs: number, level: "info" | "warn", message: string) =>
      api.logEntries.push({ atMs, level, message, fields: { of: "i0001" } });
    at(1000, "info", "it starts");
    at(2000, "warn", "it is lost");
    const messages = async (query: string) =>
      (await api.call("GET", `/v2/sandboxes/i0001/logs?${query}`)).body.logs.map(
        ({ message }: { message: string }) => message,
      );
    assert.deepEqual(await messages(""), ["it starts", "it is lost"]);
    assert.deepEqual(await messages("direction=backward&limit=1"), ["it is lost"]);
    assert.deepEqual(await messages("cursor=1500"), ["it is lost"]);
    assert.deepEqual(await messages("level=warn"), ["it is lost"]);
    assert.deepEqual(await messages("search=starts"), ["it starts"]);
    const { logs, logEntries } = (await api.call("GET", "/sandboxes/i0001/logs?start=1500")).body;
    assert.equal(logEntries[0].timestamp, "1970-01-01T00:00:02.000Z");
    const line = { of: "i0001", level: "warn", message: "it is lost", logger: "larder" };
    assert.deepEqual(JSON.parse(logs[0].line), line);
    assert.deepEqual((await api.call("GET", "/sandboxes/inone/logs")).body, { logs: [], logEntries: [] });
  });
});
