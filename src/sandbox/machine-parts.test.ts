import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { systemRandom } from "../base/random.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import { MainThreadExports } from "../nbd/main-thread-exports.ts";
import type { LaunchOrder } from "./launcher.ts";
import { type MachineParts, machineParts } from "./machine-parts.ts";
import { exportSocket, makePlaces, removePlaces } from "./places.ts";
import { StepTimes } from "./step-times.ts";
import { FakeLease } from "./testing/fake-lease.ts";

const never = new AbortController().signal;

describe("machineParts", () => {
  let root = "";
  let order: LaunchOrder;
  const meter = new MemoryMeter();

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), "larder-parts-"));
    order = {
      id: "i0",
      build: "b0",
      how: "restore",
      vcpus: 1,
      memoryBytes: 2 ** 20,
      templateId: "t0",
      envs: {},
      accessToken: undefined,
      allowInternet: false,
      directory: path.join(root, "sandboxes/i0"),
      socketDirectory: path.join(root, "sockets/i0"),
      uid: undefined,
      onProcess: () => {},
    };
    await makePlaces(order);
  });
  afterEach(() => rm(root, { recursive: true }));

  async function parts(lease: FakeLease, held: AsyncDisposableStack): Promise<MachineParts> {
    // An empty overlay of this size is there already: nothing has to be made with QEMU's tools.
    await writeFile(path.join(root, "empty-1048576.qcow2"), "QFI");
    const steps = new StepTimes(systemClock, meter);
    const common = {
      exports: new MainThreadExports({ logger: silentLogger, meter }),
      accelerator: "tcg",
      tscKhz: 2_000_000,
      overlayDirectory: root,
    } as const;
    return machineParts(order, { lease, steps, held, random: systemRandom, ...common }, never);
  }

  it("are a memory to be mapped, a device state, and a disk that can be connected to", async () => {
    const census = takeCensus();
    const held = new AsyncDisposableStack();
    const { spec, metafile, firstSecret } = await parts(new FakeLease(root), held);
    assert.deepEqual(spec.memfile, { path: path.join(root, "memfile"), mode: "restore" });
    assert.equal(spec.snapfile, path.join(root, "snapfile"));
    assert.equal(spec.boot, undefined);
    assert.equal(metafile.user, "user");
    assert.equal(firstSecret.toString("hex"), metafile.channelSecret);
    const socket = createConnection(exportSocket(order));
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.destroy();
    assert.deepEqual(await readdir(order.directory), ["overlay.qcow2"]);
    await held.disposeAsync();
    await removePlaces(order);
    assert.deepEqual(await readdir(path.join(root, "sandboxes")), []);
    await assertNothingLeft(census);
  });

  it("are kernel, initrd and a memory of its own when it boots, with the host's clock under emulation", async () => {
    await using held = new AsyncDisposableStack();
    order = { ...order, how: "boot" };
    const { spec, firstSecret } = await parts(new FakeLease(root), held);
    assert.equal(firstSecret.length, 16);
    assert.deepEqual(spec.boot, {
      kernel: path.join(root, "kernel"),
      initrd: path.join(root, "initrd"),
      arguments: `larder.secret=${firstSecret.toString("hex")} larder.node=--jitless`,
      tscKhz: 2_000_000,
    });
    assert.equal(spec.snapfile, undefined);
    assert.deepEqual(spec.memfile, { path: path.join(order.directory, "memory"), mode: "build" });
    assert.equal((await stat(spec.memfile.path)).size, order.memoryBytes);
  });

  it("have the agent's disk on the export behind the root disk, whose overlay is no larger than that", async () => {
    await using held = new AsyncDisposableStack();
    const agentDisk = { offset: 2 ** 19, bytes: 2 ** 19 };
    const lease = new FakeLease(
      root,
      { "agent-disk": new Failure("not_found", "no such input") },
      { agentDisk },
    );
    await writeFile(path.join(root, "empty-524288.qcow2"), "QFI of half the size");
    const { spec } = await parts(lease, held);
    assert.deepEqual(spec.agentDisk, agentDisk);
    const overlay = await readFile(path.join(order.directory, "overlay.qcow2"), "utf8");
    assert.equal(overlay, "QFI of half the size");
  });

  it("give back what they took when one of them fails, with its failure", async () => {
    const census = takeCensus();
    const failing = ["rootfs", "memfile", "snapfile", "metafile", "agent-disk"] as const;
    for (const what of failing) {
      const held = new AsyncDisposableStack();
      const lease = new FakeLease(root, { [what]: new Failure("not_found", `${what} is not in the bucket`) });
      await assert.rejects(parts(lease, held), new RegExp(`${what} is not in the bucket`));
      await held.disposeAsync();
      await removePlaces(order);
      await makePlaces(order);
    }
    await assertNothingLeft(census);
  });
});
