import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { describe, it } from "node:test";
import { letGoBy, type Report } from "./crew.ts";
import "./small-chunks.ts";
const { makeLibrary } = await import("./library.ts");
const { runWorld } = await import("./shrink.ts");
const { shapeOf } = await import("./world-shape.ts");

/** Seeds that `npm test` tries: some at random would not fail twice. The long run is `npm run simulate`. */
const count = 800;

describe("a world in which disks, bucket and network fail, and nodes die", () => {
  it("C1, C2, C4, C7, C8, C9, C10, C11, C12, C14, C15, C16, C17, C18, C19, C20: hold", () =>
    tryAll(1, count / 2));

  it("C21, C22, C23, C24, C25, C26, C27, C28: hold", () => tryAll(1 + count / 2, count / 2));

  it("is the same for the same seed", async () => {
    const library = await makeLibrary();
    for (let seed = 1; seed <= 10; seed++) {
      const [one, other] = [
        await runWorld(library, seed, shapeOf(seed)),
        await runWorld(library, seed, shapeOf(seed)),
      ];
      assert.deepEqual(one.trace, other.trace);
    }
  });
});

async function tryAll(first: number, seeds: number): Promise<void> {
  const failed: Report[] = [];
  const onReport = (report: Report) => void (report.failure !== undefined && failed.push(report));
  await letGoBy({ first, count: seeds, threads: availableParallelism(), untilFailure: true, onReport });
  const [{ seed, failure } = { seed: 0, failure: undefined }] = failed;
  assert.equal(failure, undefined, `seed ${seed}: replay it with npm run simulate -- --seed ${seed}`);
}
