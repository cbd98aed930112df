import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FaultWorld } from "../crash/fault-world.ts";

/**
 * What a pause and a snapshot have in common (QEMU, pages, clusters, disk, store), by the names of `daemon-steps.ts`.
 */
const steps = [
  ...["QMP stop", "QMP stop: done", "QMP xen-save-devices-state", "writeFile snapfile"],
  ...["step pages", "write memfile.data", "spawn", "write rootfs.data"],
  ...["writeFile memfile.pack", "writeFile manifest.json", "link manifest.json"],
  'sql insert into "childBuilds" ("id", "ancestors", "shape", "crea',
];
const own: Readonly<Record<string, readonly string[]>> = {
  pause: [
    'sql update "sandboxes" set "state" = ? where "id" = ?',
    'sql update "sandboxes" set "state" = ?, "build" = ?, "paused" =',
  ],
  snapshot: ['sql insert into "templates" ("id", "name", "named", "createdAt",', "sql commit"],
};

for (const [what, more] of Object.entries(own)) {
  describe(`a ${what} of which a step fails`, () => {
    it("C27: says so, leaves the sandbox running with all that it had, and succeeds the next time", async () => {
      await using world = await FaultWorld.begin(what);
      for (const step of [...steps, ...more]) {
        const outcome = await world.failAt(step).catch((cause: unknown) => {
          throw new Error(`when '${step}' failed`, { cause });
        });
        assert.equal(outcome, "failed", step);
      }
      assert.equal(await world.failAt("nothing"), "had no such step");
      await world.assertNoLeaks();
    });
  });
}
