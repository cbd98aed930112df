import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { command, commandFlag, option } from "./protocol.ts";
import { connectionsOfTests } from "./testing/connections.ts";
import { clientFlags, optionMessage, requestMessage } from "./testing/requests.ts";

const { disconnect, read } = command;
const { loose, modern } = connectionsOfTests();

describe("the end of a connection", () => {
  it("comes when the handshake takes too long, with one clear line", async () => {
    const { clock, closed, logger, send } = loose(undefined, { handshakeTimeoutMs: 1000 });
    await send(clientFlags(), optionMessage(option.list));
    await clock.advance(999);
    assert.equal(closed(), false);
    await clock.advance(1);
    assert.equal(closed(), true);
    assert.deepEqual(
      logger.warnings.map(({ facts }) => (facts as { why: string }).why),
      ["no request after 1000 ms"],
    );
  });

  it("does not come by itself after the handshake", async () => {
    const { clock, closed } = await modern();
    await clock.advance(86_400_000);
    assert.equal(closed(), false);
  });

  it("comes after ABORT is acknowledged, silently", async () => {
    const { closed, logger, received, send } = loose();
    await send(clientFlags(), optionMessage(option.abort));
    assert.equal(received().readUInt32BE(18 + 12), 1);
    assert.equal(closed(), true);
    assert.equal(logger.warnings.length, 0);
  });

  it("comes after DISCONNECT when what was asked before is answered", async () => {
    const { closed, device, replies, send } = await modern();
    const gate = device.gateReads();
    await send(requestMessage({ command: read, bytes: 512 }), requestMessage({ command: disconnect }));
    await send(requestMessage({ command: read, cookie: 2n, bytes: 512 }));
    assert.equal(closed(), false);
    gate.get(0)?.resolve();
    await settled();
    assert.equal(closed(), true);
    assert.equal(replies().length, 1, "nothing after DISCONNECT is read");
  });

  it("comes by close() when what was asked before is answered", async () => {
    const { closed, connection, device, replies, send } = await modern();
    const gate = device.gateReads();
    await send(requestMessage({ command: read, bytes: 512 }));
    const closing = connection.close();
    await settled();
    assert.equal(closed(), false);
    gate.get(0)?.resolve();
    await closing;
    assert.equal(replies()[0]?.errno, 0);
  });

  it("comes by close() also when the client never takes the last reply", async () => {
    const limits = { drainTimeoutMs: 700 };
    const { client, clock, closed, connection, device, send } = await modern(undefined, limits);
    client.pause();
    await send(requestMessage({ command: read, bytes: device.bytes, flags: commandFlag.dontFragment }));
    const closing = connection.close();
    await clock.advance(699);
    assert.equal(closed(), false);
    await clock.advance(1);
    await closing;
  });

  it("aborts the reads of a client that has gone", async () => {
    const { client, closed, device, logger, send } = await modern();
    device.gateReads();
    await send(requestMessage({ command: read, bytes: 512 }));
    assert.equal(device.underWay, 1);
    client.end();
    await settled();
    assert.equal(device.underWay, 0);
    assert.equal(closed(), true);
    assert.equal(logger.warnings.length, 0);
  });

  it("aborts the reads of a client whose socket breaks, or that sends nonsense", async () => {
    const broken = await modern();
    const confused = await modern();
    for (const { device, send } of [broken, confused]) {
      device.gateReads();
      await send(requestMessage({ command: read, bytes: 512 }));
      assert.equal(device.underWay, 1);
    }
    broken.socket.destroy(new Error("connection reset"));
    await confused.send(Buffer.alloc(28));
    await settled();
    for (const { closed, device } of [broken, confused]) {
      assert.equal(device.underWay, 0);
      assert.equal(closed(), true);
    }
  });

  it("waits until the device has let go, after destroy() too", async () => {
    const { closed, connection, device, send } = await modern();
    const stubborn = Promise.withResolvers<void>();
    device.hot = false;
    device.read = () => stubborn.promise;
    await send(requestMessage({ command: read, bytes: 512 }));
    connection.destroy(new Failure("cancelled", "the sandbox ends"));
    connection.destroy(new Failure("cancelled", "once more"));
    await settled();
    assert.equal(closed(), false);
    stubborn.resolve();
    await settled();
    assert.equal(closed(), true);
  });
});
