import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { settled } from "../base/testing/virtual-clock.ts";
import { command, option } from "./protocol.ts";
import { ArrayDevice } from "./testing/array-device.ts";
import { looseConnection, type LooseConnection } from "./testing/loose-connection.ts";
import {
  clientFlags,
  contextPayload,
  infoPayload,
  modernHandshake,
  optionMessage,
  requestMessage,
} from "./testing/requests.ts";

/** One message of every kind, in an order that is right. */
const conversation: readonly Buffer[] = [
  clientFlags(),
  optionMessage(option.startTls),
  optionMessage(option.list),
  optionMessage(option.structuredReply),
  optionMessage(option.listMetaContext, contextPayload("disk", ["base:"])),
  optionMessage(option.setMetaContext, contextPayload("disk", ["base:allocation"])),
  optionMessage(option.info, infoPayload("other")),
  optionMessage(option.info, infoPayload("disk", [1, 2, 3])),
  optionMessage(12, Buffer.from("what is this")),
  optionMessage(option.go, infoPayload("disk", [3])),
  requestMessage({ command: command.read, cookie: 1n, offset: 10, bytes: 30 }),
  requestMessage({ command: command.write, cookie: 2n, bytes: 5 }),
  Buffer.from("bytes"),
  requestMessage({ command: command.blockStatus, cookie: 3n, bytes: 200_000 }),
  requestMessage({ command: command.read, cookie: 4n, offset: 0, bytes: 70_000 }),
  requestMessage({ command: 99, cookie: 5n }),
  requestMessage({ command: command.disconnect }),
];

/** A small device, so that thousands of connections are quick. */
function fresh(): LooseConnection {
  return looseConnection(ArrayDevice.striped(256 * 1024), { requestBytesMax: 128 * 1024 });
}

/** What the issue of any input must be: an end, nothing left behind, and at most one line that warns. */
async function assertEndsCleanly(loose: LooseConnection): Promise<void> {
  loose.client.end();
  await settled();
  await loose.clock.advance(60_000);
  assert.ok(loose.closed(), "the connection is closed");
  assert.equal(loose.device.underWay, 0);
  assert.equal(loose.clock.pending, 0, "no timer is left");
  assert.ok(loose.logger.warnings.length <= 1, `${loose.logger.warnings.length} lines were logged`);
  for (const { level, facts, event } of loose.logger.warnings) {
    assert.equal(event, "NBD client hung up on");
    assert.equal(level, "warn", `a bug was met: ${JSON.stringify(facts)}`);
  }
}

describe("a conversation", () => {
  it("goes the same way wherever it is cut in two", async () => {
    const whole = Buffer.concat(conversation);
    const reference = fresh();
    await reference.send(whole);
    assert.ok(reference.closed(), "DISCONNECT ends it");
    const expected = reference.received();
    for (let cut = 1; cut < whole.length; cut++) {
      const loose = fresh();
      await loose.send(whole.subarray(0, cut), whole.subarray(cut));
      assert.ok(loose.received().equals(expected), `cut at ${cut}`);
      await assertEndsCleanly(loose);
      assert.equal(loose.logger.warnings.length, 0);
    }
  });

  it("goes the same way byte by byte", async () => {
    const whole = Buffer.concat(conversation);
    const [at, reference] = [fresh(), fresh()];
    await reference.send(whole);
    for (const byte of whole) at.client.write(Buffer.of(byte));
    await at.send();
    for (let turn = 0; turn < 200 && !at.closed(); turn++) await settled();
    assert.ok(at.received().equals(reference.received()));
  });

  it("ends cleanly wherever the client falls silent and leaves", async () => {
    const whole = Buffer.concat(conversation.slice(0, -1));
    for (let end = 0; end < whole.length; end += 3) {
      const loose = fresh();
      await loose.send(whole.subarray(0, end));
      await assertEndsCleanly(loose);
    }
  });

  it("ends cleanly wherever the client falls silent and stays, as long as it has not begun to read", async () => {
    const handshake = Buffer.concat(conversation.slice(0, 9));
    for (let end = 0; end < handshake.length; end += 3) {
      const loose = fresh();
      await loose.send(handshake.subarray(0, end));
      assert.equal(loose.closed(), false);
      await loose.clock.advance(10_000);
      assert.ok(loose.closed(), `silent after ${end} bytes`);
      assert.equal(loose.logger.warnings.length, 1);
    }
  });
});

describe("a malformed message", () => {
  it("of any kind, any bytes of it changed, ends or is answered, and never hangs or breaks anything", async () => {
    const change = fc.record({ at: fc.nat(10_000), to: fc.integer({ min: 0, max: 255 }) });
    const which = fc.nat(conversation.length - 1);
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(which, changes, async (index, changes) => {
        const loose = fresh();
        const changed = Buffer.from(conversation[index] ?? assert.fail());
        for (const { at, to } of changes) changed[at % changed.length] = to;
        await loose.send(...conversation.slice(0, index), changed, ...conversation.slice(index + 1));
        await assertEndsCleanly(loose);
      }),
      { numRuns: 200 },
    );
  });

  it("of any kind, cut short or drawn out, ends or is answered, and never hangs or breaks anything", async () => {
    const which = fc.nat(conversation.length - 1);
    await fc.assert(
      fc.asyncProperty(which, fc.nat(40), fc.uint8Array({ maxLength: 40 }), async (index, keep, more) => {
        const loose = fresh();
        const message = conversation[index] ?? assert.fail();
        const changed = Buffer.concat([message.subarray(0, keep), more]);
        await loose.send(...conversation.slice(0, index), changed, ...conversation.slice(index + 1));
        await assertEndsCleanly(loose);
      }),
      { numRuns: 150 },
    );
  });

  it("made of random bytes is hung up on at any stage, with one line that says what was expected", async () => {
    const stages = fc.nat(conversation.length - 2);
    const noise = fc.uint8Array({ minLength: 28, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(stages, noise, fc.nat(200), async (stage, noise, cut) => {
        const loose = fresh();
        await loose.send(...conversation.slice(0, stage), noise.subarray(0, cut), noise.subarray(cut));
        await assertEndsCleanly(loose);
      }),
      { numRuns: 150 },
    );
  });

  it("is named in the log", async () => {
    const line = async (...pieces: Buffer[]) => {
      const loose = fresh();
      await loose.send(...pieces);
      await assertEndsCleanly(loose);
      const [logged] = loose.logger.warnings;
      return logged?.facts;
    };
    const code = "invalid";
    assert.deepEqual(await line(clientFlags(6)), { expected: "flags", code, why: "client flags 0x6" });
    assert.deepEqual(await line(clientFlags(), Buffer.alloc(16)), {
      expected: "option header",
      code,
      why: "option magic 0x0",
    });
    const long = optionMessage(option.go, Buffer.alloc(20_000));
    assert.deepEqual(await line(clientFlags(), long.subarray(0, 16)), {
      expected: "option header",
      code,
      why: "go: 20000 bytes, 16384 are allowed",
    });
    const endless = Array.from({ length: 65 }, () => optionMessage(option.list));
    assert.deepEqual(await line(clientFlags(), ...endless), {
      expected: "option header",
      code,
      why: "more than 64 options",
    });
    assert.deepEqual(await line(...modernHandshake(), Buffer.alloc(28)), {
      expected: "request",
      code,
      why: "request magic 0x0",
    });
    const half = requestMessage({ command: command.read }).subarray(0, 14);
    assert.deepEqual(await line(...modernHandshake(), half), {
      expected: "request",
      code,
      why: "the connection ended within a message (request)",
    });
    const write = requestMessage({ command: command.write, bytes: 2 ** 31 });
    assert.deepEqual(await line(...modernHandshake(), write), {
      expected: "request",
      code,
      why: "a write of 2147483648 bytes, 131072 are allowed",
    });
  });
});
