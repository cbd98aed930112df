import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { TestDaemon } from "./testing/test-daemon.ts";

describe("larder fork", () => {
  it("starts as many as it is told and prints their ids", async () => {
    await using daemon = await TestDaemon.start();
    await daemon.api.call("POST", "/v2/sandboxes", {});
    const { code, terminal } = await daemon.larder(["fork", "i0001", "--count", "2", "--timeout", "60"]);
    assert.deepEqual([code, terminal.printed], [0, "i0002\ni0003\n"]);
    assert.deepEqual(
      daemon.api.sandboxes.asked.slice(1).map(({ timeoutMs }) => timeoutMs),
      [60_000, 60_000],
    );
  });

  it("tells which could not be started", async () => {
    await using daemon = await TestDaemon.start();
    await daemon.api.call("POST", "/v2/sandboxes", {});
    daemon.api.snapshots.forkFailure = new Failure("exhausted", "no memory is left");
    const { code, terminal } = await daemon.larder(["fork", "i0001", "--count", "2"]);
    assert.deepEqual(
      [code, terminal.printed, terminal.complained],
      [1, "i0002\n", "larder fork: no memory is left\n"],
    );
    assert.equal((await daemon.larder(["fork", "i0001", "--count", "many"])).code, 2);
  });
});
