import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Sandbox } from "e2b";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { assertNoLeaks, type Served, serve } from "./testing/served.ts";

/** How often the daemon is killed at each kind of work; the first of a fixed sequence of moments. */
const kills = Number(process.env["LARDER_KILLS"] ?? 1);
const random = new SeededRandom(20_261_201);

type Sdk = Served["sdk"];
interface Work {
  /** Moments are spread over so long: what the work takes here, and a little more. */
  readonly spanMs: number;
  /** What the sandbox does when the work begins. */
  readonly before: "runs" | "sleeps" | "is not there";
  readonly begin: (sdk: Sdk, id: string) => Promise<unknown>;
  /** Whether the sandbox may be gone afterwards. */
  readonly mayBeGone: boolean;
}

const works: Readonly<Record<string, Work>> = {
  create: {
    ...{ spanMs: 1500, before: "is not there", mayBeGone: true },
    begin: (sdk) => Sandbox.create({ ...sdk, timeoutMs: 600_000 }),
  },
  pause: {
    ...{ spanMs: 600, before: "runs", mayBeGone: false },
    begin: (sdk, id) => Sandbox.pause(id, sdk),
  },
  resume: {
    ...{ spanMs: 1500, before: "sleeps", mayBeGone: false },
    begin: (sdk, id) => Sandbox.connect(id, { ...sdk, timeoutMs: 600_000 }),
  },
  snapshot: {
    ...{ spanMs: 800, before: "runs", mayBeGone: false },
    begin: (sdk, id) => Sandbox.createSnapshot(id, sdk),
  },
  kill: {
    ...{ spanMs: 300, before: "runs", mayBeGone: true },
    begin: (sdk, id) => Sandbox.kill(id, sdk),
  },
};

/** A sandbox with a file and a process, in the state in which the work finds it. */
async function prepare(sdk: Sdk, before: Work["before"]): Promise<string> {
  if (before === "is not there") return "";
  const sandbox = await Sandbox.create({ ...sdk, timeoutMs: 600_000 });
  await sandbox.files.write("/home/user/kept.txt", "kept");
  await sandbox.commands.run("sleep 1000", { background: true });
  if (before === "sleeps") await sandbox.pause();
  return sandbox.sandboxId;
}

/** Whatever is left is whole: store, machine and disk agree. */
async function assertWhole(sdk: Sdk, id: string, mayBeGone: boolean): Promise<void> {
  const ids = (await Sandbox.list(sdk).nextItems()).map(({ sandboxId }) => sandboxId);
  if (!mayBeGone) assert.deepEqual(ids, [id], "it is there");
  for (const each of ids) {
    const sandbox = await Sandbox.connect(each, { ...sdk, timeoutMs: 600_000 });
    if (each === id) {
      const { stdout } = await sandbox.commands.run("cat kept.txt; pgrep -c sleep");
      assert.equal(stdout, "kept1\n", "with its file and its process");
    } else await sandbox.commands.run("true");
    assert.equal(await sandbox.kill(), true);
  }
}

describe("a daemon that is killed at its work", () => {
  for (const [what, { spanMs, before, begin, mayBeGone }] of Object.entries(works)) {
    it(`leaves nothing half done: ${what}`, async () => {
      for (let kill = 0; kill < kills; kill++) {
        const atMs = Math.round(random.fraction() * spanMs);
        await using first = await serve();
        const id = await prepare(first.sdk, before);
        const working = begin(first.sdk, id).catch(() => "its daemon was killed");
        await pause(atMs);
        await first.end("SIGKILL");
        await working;
        await using second = await serve();
        await assertWhole(second.sdk, id, mayBeGone);
        await assertNoLeaks(second);
      }
    });
  }
});
