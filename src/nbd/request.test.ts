import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { command, commandFlag, errno } from "./protocol.ts";
import { parseRequest, type Request, refusalOf } from "./request.ts";
import { type Asked, requestMessage } from "./testing/requests.ts";

const device = { bytes: 1 << 20, requestBytesMax: 1 << 16 };
const terms = { structured: true, allocation: true };

function errnoOf(asked: Asked, agreed = terms): number {
  return refusalOf(parseRequest(requestMessage(asked)), agreed, device)?.errno ?? 0;
}

describe("a request", () => {
  it("is read from its 28 bytes", () => {
    const message = requestMessage({
      command: 7,
      flags: 8,
      cookie: 2n ** 63n + 5n,
      offset: 2 ** 40 + 3,
      bytes: 9,
    });
    const expected: Request = { command: 7, flags: 8, cookie: 2n ** 63n + 5n, offset: 2 ** 40 + 3, bytes: 9 };
    assert.deepEqual(parseRequest(message), expected);
  });

  it("is none without the magic number", () => {
    const message = requestMessage({ command: command.read });
    message[3] = 0;
    assert.throws(
      () => parseRequest(message),
      (error) => Failure.is(error, "invalid") && error.message === "request magic 0x25609500",
    );
  });

  it("is served within the device and refused beyond its end, whatever the numbers", () => {
    const { blockStatus, read } = command;
    for (const id of [read, blockStatus]) {
      assert.equal(errnoOf({ command: id, offset: device.bytes - 512, bytes: 512 }), 0);
      assert.equal(errnoOf({ command: id, offset: device.bytes - 511, bytes: 512 }), errno.EINVAL);
      assert.equal(errnoOf({ command: id, offset: 2n ** 64n - 1n, bytes: 1 }), errno.EINVAL);
      assert.equal(errnoOf({ command: id, offset: 2n ** 53n, bytes: 1 }), errno.EINVAL);
      assert.equal(errnoOf({ command: id, offset: 0, bytes: 0 }), errno.EINVAL);
    }
  });

  it("is refused when it is too large to be read at once", () => {
    const large = { command: command.read, bytes: device.requestBytesMax + 1 };
    assert.equal(errnoOf({ ...large, bytes: device.requestBytesMax }), 0);
    assert.equal(errnoOf(large), errno.EINVAL);
    assert.equal(errnoOf({ ...large, flags: commandFlag.dontFragment }), errno.EOVERFLOW);
  });

  it("is refused when it would change something", () => {
    for (const id of [command.write, command.trim, command.writeZeroes]) {
      assert.equal(errnoOf({ command: id, flags: 1, bytes: 512 }), errno.EPERM);
    }
  });

  it("is refused when it asks for what was not agreed on or is not known", () => {
    const simple = { structured: false, allocation: false };
    const df = { command: command.read, flags: commandFlag.dontFragment, bytes: 1 };
    assert.equal(errnoOf(df), 0);
    assert.equal(errnoOf(df, simple), errno.EINVAL);
    assert.equal(errnoOf({ command: command.blockStatus, bytes: 1 }, simple), errno.EINVAL);
    assert.equal(errnoOf({ command: command.read, flags: 64, bytes: 1 }), errno.EINVAL);
    assert.equal(errnoOf({ command: 5, bytes: 1 }), errno.EINVAL);
    assert.equal(errnoOf({ command: command.flush }), 0);
    assert.equal(errnoOf({ command: command.flush, flags: 1 }), errno.EINVAL);
  });
});
