import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { abortable } from "../base/abortable.ts";
import type { BlockDevice } from "../base/block-device.ts";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import type { QmpEvent } from "../machine/qmp-client.ts";
import { DiskTrouble } from "./disk-trouble.ts";
import { WatchedDevice } from "./watched-device.ts";

/** A machine that stops again each time it is told to go on, until its disk is well. */
class StoppedMachine {
  readonly told: number[] = [];
  wellAfter = Infinity;
  #listener: (event: QmpEvent) => void = () => {};
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  onEvent(listener: (event: QmpEvent) => void): void {
    this.#listener = listener;
  }

  async execute(command: string): Promise<unknown> {
    assert.equal(command, "cont");
    this.told.push(this.#clock.now());
    if (this.told.length < this.wellAfter) this.stop();
    return {};
  }

  stop(action = "stop"): void {
    this.#listener({ event: "BLOCK_IO_ERROR", data: { action } });
  }
}

function scene() {
  const clock = new VirtualClock(0);
  const meter = new MemoryMeter();
  const machine = new StoppedMachine(clock);
  const fails = () => Promise.reject<void>(new Failure("corrupt", "chunk 3 is not what its digest says"));
  const below: { read: (signal: AbortSignal) => Promise<void> } = { read: fails };
  const device: BlockDevice = {
    bytes: 4096,
    readNow: () => false,
    read: (_offset, _into, signal) => below.read(signal),
    extents: () => [],
  };
  const disk = new WatchedDevice(device);
  const options = { sandbox: "i0", clock, logger: silentLogger, meter, stalledMsMax: 600_000 };
  return { clock, meter, machine, below, disk, trouble: new DiskTrouble(machine, disk, options) };
}

describe("WatchedDevice", () => {
  it("lets no read keep a machine from stopping when it is hurried, and is patient otherwise", async () => {
    const { below, clock, disk } = scene();
    below.read = (signal) => abortable(new Promise<void>(() => {}), signal);
    let failed = 0;
    const read = () => disk.read(0, new Uint8Array(1), never).catch(() => (failed += 1));
    void read();
    await clock.advance(60_000);
    assert.equal(failed, 0);
    {
      using _hurried = disk.hurry(clock, 1000);
      await clock.advance(1000);
      void read();
      await clock.advance(1000);
    }
    assert.equal(failed, 2);
    void read();
    await clock.advance(60_000);
    assert.equal(failed, 2);
    assert.equal(clock.pending, 0);
  });
});

const never = new AbortController().signal;

describe("DiskTrouble", () => {
  it("ends a start with the reason that the disk knows", async () => {
    const { disk, machine, trouble } = scene();
    await assert.rejects(disk.read(0, new Uint8Array(1), new AbortController().signal));
    machine.stop("report");
    assert.equal(trouble.stopped.aborted, false, "an error that the guest sees is its own affair");
    machine.stop();
    assert.ok(Failure.is(trouble.stopped.reason, "corrupt"));
    assert.match(String(trouble.stopped.reason), /could not use its disk: chunk 3/);
  });

  it("is waited out later, told to go on less and less often until the disk is well", async () => {
    const { clock, machine, meter, trouble } = scene();
    trouble.tolerate();
    machine.wellAfter = 4;
    machine.stop();
    await clock.advance(60_000);
    assert.deepEqual(machine.told, [500, 1_500, 3_500, 7_500]);
    await clock.advance(60_000);
    machine.stop();
    await clock.advance(60_000);
    assert.equal(machine.told.at(-1), 120_500, "what is long past is forgotten");
    assert.equal(trouble.stopped.aborted, false);
    assert.equal(meter.get("larder_disk_stops_total"), 5);
    assert.equal(trouble.isStalled, true, "nothing was read since");
    trouble[Symbol.dispose]();
    assert.equal(clock.pending, 0);
  });

  it("counts a guest as stalled until its disk is read again, and gives it up after a bound", async () => {
    const { below, clock, disk, machine, trouble } = scene();
    const read = () => disk.read(0, new Uint8Array(1), never);
    trouble.tolerate();
    let why: string | undefined;
    void trouble.hopeless.then((words) => (why = words));
    await assert.rejects(read());
    machine.wellAfter = 5;
    machine.stop();
    assert.equal(trouble.isStalled, true);
    const failing = below.read;
    below.read = async () => {};
    await clock.advance(60_000);
    await read();
    assert.equal(trouble.isStalled, false);
    await clock.advance(600_000);
    assert.equal(why, undefined);
    below.read = failing;
    machine.wellAfter = Infinity;
    await assert.rejects(read());
    machine.stop();
    await clock.advance(599_000);
    assert.equal(why, undefined);
    await clock.advance(1_000);
    assert.equal(why, "its disk could not be read for 600 s: chunk 3 is not what its digest says");
    trouble[Symbol.dispose]();
    assert.equal(clock.pending, 0);
  });

  it("leaves no timer when it is disposed of", async () => {
    const { clock, machine, trouble } = scene();
    trouble.tolerate();
    machine.stop();
    trouble[Symbol.dispose]();
    machine.stop();
    assert.equal(clock.pending, 0);
  });
});
