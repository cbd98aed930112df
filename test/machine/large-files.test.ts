import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Sandbox } from "e2b";
import { type Served, serve } from "./testing/served.ts";

const mib = 1024 * 1024;
const patient = { requestTimeoutMs: 120_000 };

describe("a file on its way into a real machine", () => {
  let served: Served;
  let sandbox: Sandbox;
  const bytes = randomBytes(2 * mib + 77);
  before(async () => {
    served = await serve();
    sandbox = await Sandbox.create({ ...served.sdk, timeoutMs: 3_600_000 });
  });
  after(async () => {
    await sandbox.kill();
    await served[Symbol.asyncDispose]();
  });

  /** A file of 16 MiB, of which some pieces come only when they are let go. */
  function upload(name: string) {
    const held = Promise.withResolvers<void>();
    const half = Promise.withResolvers<void>();
    const stream = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          for (let sent = 0; sent < 16; sent++) {
            if (sent === 8) {
              half.resolve();
              await held.promise;
            }
            controller.enqueue(new Uint8Array(mib).fill(sent));
          }
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const done = sandbox.files.write(name, stream, patient);
    done.catch(() => {}); // It is looked at later.
    return { done, half: half.promise, goOn: () => held.resolve() };
  }

  async function passes(of: Sandbox) {
    await of.files.write("passed", new Uint8Array(bytes).buffer, patient);
    assert.ok(bytes.equals(await of.files.read("passed", { format: "bytes", ...patient })));
    const { stdout } = await of.commands.run("sed -n 's/^HugePages_Total: *//p' /proc/meminfo");
    assert.ok(Number(stdout) >= 1, "it has passed by the memory of the machine");
  }

  it("arrives though a snapshot is made meanwhile, and the snapshot takes and gives files", async () => {
    const { done, half, goOn } = upload("during");
    await half;
    const { snapshotId } = await sandbox.createSnapshot();
    const other = await Sandbox.create(snapshotId, { ...served.sdk, ...patient });
    await passes(other);
    goOn();
    await done;
    await passes(other);
    await other.kill();
    const whole = upload("whole");
    whole.goOn();
    await whole.done;
    await sandbox.commands.run("cmp during whole");
    await passes(sandbox);
  });

  it("is lost with nothing else when its sandbox falls asleep", async () => {
    const { done, half, goOn } = upload("lost");
    await half;
    await sandbox.pause();
    goOn();
    await assert.rejects(done);
    sandbox = await Sandbox.connect(sandbox.sandboxId, served.sdk);
    await passes(sandbox);
  });
});
