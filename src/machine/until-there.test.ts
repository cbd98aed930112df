import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { settled, VirtualClock } from "../base/testing/virtual-clock.ts";
import { untilThere } from "./until-there.ts";

const never = new AbortController().signal;

describe("untilThere", () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "there-"));
    file = path.join(directory, "qmp");
  });

  afterEach(() => rm(directory, { recursive: true }));

  it("resolves when the file appears, and at once when it is there", async () => {
    const census = takeCensus();
    let there = false;
    const waiting = untilThere(file, new VirtualClock(), never).then(() => (there = true));
    await writeFile(path.join(directory, "another"), "");
    await settled();
    assert.equal(there, false);
    await rename(path.join(directory, "another"), file);
    await waiting;
    await untilThere(file, new VirtualClock(), never);
    await assertNothingLeft(census);
  });

  it("is given up when its signal aborts", async () => {
    const caller = new AbortController();
    const waiting = untilThere(file, new VirtualClock(), caller.signal);
    caller.abort(new Failure("cancelled", "enough"));
    await assert.rejects(waiting, { code: "cancelled", message: "enough" });
  });

  it("polls where nothing can be watched", async () => {
    const clock = new VirtualClock();
    const later = path.join(directory, "later", "qmp");
    let there = false;
    const waiting = untilThere(later, clock, never).then(() => (there = true));
    await clock.advance(50);
    assert.equal(there, false);
    await mkdir(path.dirname(later));
    await writeFile(later, "");
    await clock.advance(5);
    await waiting;
    assert.equal(there, true);
  });
});
