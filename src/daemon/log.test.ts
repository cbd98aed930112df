import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { openLog } from "./log.ts";

describe("the log", () => {
  const lines: string[] = [];
  const log = openLog("info", { write: (line) => void lines.push(line) });
  const last = () => JSON.parse(lines.at(-1) ?? "{}");

  it("is one JSON line per event, with the words last and the level by name", () => {
    log.info({ sandbox: "i1" }, "a sandbox started");
    assert.deepEqual([last().level, last().sandbox, last().msg], ["info", "i1", "a sandbox started"]);
    log.debug({}, "not said");
    assert.equal(last().msg, "a sandbox started");
  });

  it("never holds a secret", () => {
    const secrets = {
      apiKey: "hush",
      envs: { A: "hush" },
      request: { accessToken: "hush", headers: { "x-api-key": "hush" } },
    };
    log.info({ ...secrets, authorization: "hush", "x-access-token": "hush" }, "asked");
    assert.doesNotMatch(lines.at(-1) ?? "", /hush/);
  });

  it("keeps the stack of an error and of its cause", () => {
    const error = new Failure("unavailable", "the bucket is away", { cause: new Error("refused") });
    log.error({ error }, "a fetch failed");
    assert.match(last().error.stack, /the bucket is away/);
    assert.match(JSON.stringify(last().error), /refused/);
  });
});
