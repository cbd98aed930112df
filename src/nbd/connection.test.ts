import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { command, commandFlag, errno, magic, option } from "./protocol.ts";
import { ArrayDevice } from "./testing/array-device.ts";
import { connectionsOfTests } from "./testing/connections.ts";
import { dataOf } from "./testing/reply-parser.ts";
import { clientFlags, optionMessage, requestMessage } from "./testing/requests.ts";

const { blockStatus, read, write } = command;
const { loose, modern } = connectionsOfTests();

describe("a connection", () => {
  it("answers reads of what is at hand, with holes where long reads meet zeros", async () => {
    const { device, meter, replies, send } = await modern();
    await send(
      requestMessage({ command: read, cookie: 1n, offset: 4000, bytes: 200 }),
      requestMessage({ command: read, cookie: 2n, offset: 0, bytes: device.bytes }),
    );
    const [short, long] = replies();
    assert.ok(short && long);
    assert.deepEqual(dataOf(short), device.data.subarray(4000, 4200));
    assert.deepEqual(dataOf(long), device.data);
    assert.deepEqual(
      long.stretches.map(({ bytes, data }) => [bytes, data !== undefined]),
      [1, 2, 3, 4].map((n) => [65536, n % 2 === 1]),
    );
    assert.equal(meter.get("larder_nbd_reads_total", { outcome: "hit" }), 2);
    assert.equal(meter.get("larder_nbd_read_bytes_total"), 200 + device.bytes);
  });

  it("sends a read in one piece when the client wishes it so", async () => {
    const { device, replies, send } = await modern();
    const flags = commandFlag.dontFragment;
    await send(requestMessage({ command: read, flags, offset: 0, bytes: device.bytes }));
    assert.equal(replies()[0]?.stretches.length, 1);
  });

  it("answers simply when structured replies were not agreed on", async () => {
    const { device, received, send } = loose();
    await send(clientFlags(), optionMessage(option.exportName));
    const from = received().length;
    await send(requestMessage({ command: read, cookie: 9n, offset: 8, bytes: 4 }));
    await send(requestMessage({ command: write, cookie: 10n, bytes: 1 }), Buffer.from("x"));
    const bytes = received().subarray(from);
    assert.equal(bytes.readUInt32BE(0), magic.simpleReply);
    assert.deepEqual(bytes.subarray(16, 20), device.data.subarray(8, 12));
    assert.equal(bytes.readUInt32BE(24), errno.EPERM);
    assert.equal(bytes.length, 16 + 4 + 16);
  });

  it("answers in the order in which the device has the bytes", async () => {
    const { device, meter, replies, send } = await modern();
    const gate = device.gateReads();
    for (const n of [0, 1, 2]) {
      await send(requestMessage({ command: read, cookie: BigInt(n), offset: n * 4096, bytes: 512 }));
    }
    device.hot = true;
    await send(requestMessage({ command: read, cookie: 3n, offset: 512, bytes: 512 }));
    for (const n of [2, 0, 1]) {
      gate.get(n * 4096)?.resolve();
      await settled();
    }
    assert.deepEqual(
      replies().map(({ cookie }) => cookie),
      [3n, 2n, 0n, 1n],
    );
    for (const reply of replies().slice(1)) {
      const at = Number(reply.cookie) * 4096;
      assert.deepEqual(dataOf(reply), device.data.subarray(at, at + 512));
    }
    assert.equal(meter.get("larder_nbd_reads_total", { outcome: "miss" }), 3);
  });

  it("tells block status in full, or one extent when asked for one", async () => {
    const { device, replies, send } = await modern();
    const range = { command: blockStatus, offset: 60_000, bytes: device.bytes - 60_000 };
    await send(requestMessage(range), requestMessage({ ...range, flags: commandFlag.requestOne }));
    const [all, one] = replies();
    assert.deepEqual(all?.extents, [
      { bytes: 65536 - 60_000, flags: 0 },
      { bytes: 65536, flags: 3 },
      { bytes: 65536, flags: 0 },
      { bytes: 65536, flags: 3 },
    ]);
    assert.deepEqual(one?.extents, all?.extents.slice(0, 1));
  });

  it("refuses writes, skips what they carry, and goes on", async () => {
    const { replies, send } = await modern();
    const payload = Buffer.alloc(5000, 0x25);
    await send(requestMessage({ command: write, cookie: 1n, bytes: 5000 }), payload.subarray(0, 4000));
    await send(
      Buffer.concat([payload.subarray(4000), requestMessage({ command: read, cookie: 2n, bytes: 1 })]),
    );
    assert.deepEqual(
      replies().map((reply) => [reply.cookie, reply.errno]),
      [
        [1n, errno.EPERM],
        [2n, 0],
      ],
    );
  });

  it("fails a read alone, by the kind of its failure, and logs it", async () => {
    const { device, logger, meter, replies, send } = await modern();
    device.hot = false;
    device.beforeRead = async (offset) => {
      if (offset === 0) throw new Failure("unavailable", "the bucket is away");
      if (offset === 1) throw new Error("a bug");
      if (offset === 2) throw new Failure("exhausted", "no memory");
    };
    for (const n of [0, 1, 2, 3]) {
      await send(requestMessage({ command: read, cookie: BigInt(n), offset: n, bytes: 1 }));
    }
    assert.deepEqual(
      replies().map((reply) => reply.errno),
      [errno.EIO, errno.EIO, errno.ENOMEM, 0],
    );
    assert.deepEqual(
      logger.warnings.map(({ level }) => level),
      ["warn", "error", "warn"],
    );
    assert.equal(meter.get("larder_nbd_reads_total", { outcome: "error" }), 3);
  });

  it("survives a device that throws where it should answer", async () => {
    const { device, replies, send } = await modern();
    const bug = () => {
      throw new Error("a bug");
    };
    device.readNow = bug;
    device.extents = bug;
    await send(requestMessage({ command: read, cookie: 1n, bytes: 1 }));
    await send(requestMessage({ command: blockStatus, cookie: 2n, bytes: 1 }));
    assert.deepEqual(
      replies().map((reply) => reply.errno),
      [errno.EIO, errno.EIO],
    );
  });

  it("fails a read that the device does not answer in time", async () => {
    const { clock, device, replies, send } = await modern(undefined, { readTimeoutMs: 5000 });
    device.gateReads();
    await send(requestMessage({ command: read, bytes: 1 }));
    await clock.advance(5000);
    assert.equal(replies()[0]?.errno, errno.EIO);
  });
});

describe("a connection's memory", () => {
  it("is bounded while the device is slow: further requests stay in the socket", async () => {
    const limits = { bytesInFlightMax: 64 * 1024, requestBytesMax: 32 * 1024 };
    const { client, device, replies, send } = await modern(ArrayDevice.striped(1 << 20), limits);
    const gate = device.gateReads();
    const requests = Array.from({ length: 8000 }, (_, n) =>
      requestMessage({ command: read, cookie: BigInt(n), offset: n * 64, bytes: 32 * 1024 }),
    );
    await send(...requests.slice(0, 20));
    assert.equal(device.underWay, 2, "64 KiB are reached with two");
    for (const request of requests.slice(20)) client.write(request);
    while (replies().length < 20) {
      for (const [offset, { resolve }] of gate) {
        resolve();
        gate.delete(offset);
      }
      await settled();
      assert.ok(device.underWayBytes <= limits.bytesInFlightMax);
    }
    assert.ok(client.writableLength > 0, "the rest waits on the client's side");
  });

  it("is bounded when reads are small and many", async () => {
    const { device, replies, send } = await modern(undefined, { readsInFlightMax: 3 });
    const gate = device.gateReads();
    await send(
      ...[1, 2, 3, 4, 5].map((n) =>
        requestMessage({ command: read, cookie: BigInt(n), offset: n, bytes: 1 }),
      ),
    );
    assert.equal(device.underWay, 3);
    gate.get(2)?.resolve();
    await settled();
    assert.deepEqual([...gate.keys()], [1, 2, 3, 4]);
    for (const { resolve } of gate.values()) resolve();
    await settled();
    gate.get(5)?.resolve();
    await settled();
    assert.equal(replies().length, 5);
  });

  it("is bounded when the client takes no replies, and all arrive when it does", async () => {
    const limits = { bytesUntakenMax: 256 * 1024 };
    const made = await modern(ArrayDevice.striped(1 << 20), limits);
    made.client.pause();
    const count = 500;
    const requests = Array.from({ length: count }, (_, n) =>
      requestMessage({ command: read, cookie: BigInt(n), offset: n * 1024, bytes: 16 * 1024 }),
    );
    made.client.write(Buffer.concat(requests));
    await settled();
    const served = made.meter.sum("larder_nbd_reads_total");
    assert.ok(served > 0 && served < 25, `${served} reads were served`);
    made.client.resume();
    for (let turn = 0; turn < 1000 && made.meter.sum("larder_nbd_reads_total") < count; turn++)
      await settled();
    await settled();
    assert.equal(made.replies().length, count);
    for (const reply of made.replies()) {
      const at = Number(reply.cookie) * 1024;
      assert.deepEqual(dataOf(reply), made.device.data.subarray(at, at + 16 * 1024));
    }
  });
});
