import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { settled, VirtualClock } from "../base/testing/virtual-clock.ts";
import { lockCache } from "./cache-lock.ts";

describe("lockCache", () => {
  it("lets one in at a time, tells the other whom it waits for, and lets it in afterwards", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "larder-lock-"));
    const clock = new VirtualClock();
    const said: string[] = [];
    const signal = new AbortController().signal;
    const enter = () =>
      lockCache(path.join(directory, "cache"), clock, (sentence) => said.push(sentence), signal);
    const first = await enter();
    const second = enter();
    while (said.length === 0) await settled();
    assert.match(said[0] ?? "", new RegExp(`is held by the process with id ${process.pid}$`));
    await clock.advance(1000);
    assert.equal(said.length, 1);
    first[Symbol.dispose]();
    await clock.advance(1000);
    (await second)[Symbol.dispose]();
    assert.equal(clock.pending, 0);
    await rm(directory, { recursive: true });
  });
});
