import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { systemRandom } from "../base/random.ts";
import type { MachineSpec } from "../machine/machine-spec.ts";
import { rehearse } from "./rehearse.ts";

/** Of a machine whose files are not there. */
const nowhere = "/nonexistent/larder";

const never = () => assert.fail("there is no machine");

describe("a rehearsal", () => {
  it("that cannot be had says so, and is no reason to give up a template", async () => {
    const told: string[] = [];
    const tools = { directory: nowhere, socketDirectory: nowhere, clock: systemClock, random: systemRandom };
    const spec = { memfile: { path: `${nowhere}/memfile`, mode: "build" } } as MachineSpec;
    const saved = { spec, rootfs: nowhere, snapfile: nowhere, reconnect: never };
    const image = await rehearse(
      { ...tools, host: {} as never, logger: silentLogger },
      { ...saved, tell: (detail) => told.push(detail) },
      new AbortController().signal,
    );
    assert.equal(image, undefined);
    assert.match(told.at(-1) ?? "", /^first starts on other nodes will take longer: .*no such file/i);
  });

  it("ends with whoever asked for it", async () => {
    const reason = new Error("the daemon ends");
    const tools = { directory: nowhere, socketDirectory: nowhere, clock: systemClock, random: systemRandom };
    const spec = { memfile: { path: `${nowhere}/memfile`, mode: "build" } } as MachineSpec;
    const saved = { spec, rootfs: nowhere, snapfile: nowhere, reconnect: never, tell: () => {} };
    await assert.rejects(
      rehearse({ ...tools, host: {} as never, logger: silentLogger }, saved, AbortSignal.abort(reason)),
      reason,
    );
  });
});
