import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { opcode } from "./fuse-protocol.ts";
import { parseRequest } from "./fuse-request.ts";
import { OneFile } from "./one-file.ts";
import { encodeRequest, readBody } from "./testing/fuse-requests.ts";

const fileBytes = 10_000;

function ask(file: OneFile, code: number, body: Buffer = Buffer.alloc(64)) {
  const request = parseRequest(encodeRequest({ code, unique: 9n, thread: 5, body }));
  assert.ok(request !== undefined);
  return file.answer(request);
}

/** The error and the body of a reply, whose head must be right. */
function replyOf(answer: ReturnType<OneFile["answer"]>) {
  assert.ok(answer.kind === "reply");
  const { reply } = answer;
  assert.equal(reply.readUInt32LE(0), reply.length);
  assert.equal(reply.readBigUInt64LE(8), 9n);
  return { error: reply.readInt32LE(4), body: reply.subarray(16) };
}

describe("OneFile", () => {
  const make = () => new OneFile({ bytes: fileBytes, readaheadBytes: 16_384 });

  it("greets the kernel with the version and the read-ahead that it wants", () => {
    const hello = Buffer.alloc(64);
    hello.writeUInt32LE(7, 0);
    hello.writeUInt32LE(45, 4);
    const { body, error } = replyOf(ask(make(), opcode.init, hello));
    assert.deepEqual([error, body.length, body.readUInt32LE(0), body.readUInt32LE(8)], [0, 64, 7, 16_384]);
  });

  it("is a plain file of its size that all may read and nobody may write", () => {
    const { body } = replyOf(ask(make(), opcode.getattr));
    assert.equal(Number(body.readBigUInt64LE(24)), fileBytes);
    assert.equal(body.readUInt32LE(76), 0o100444);
    const write = Buffer.alloc(8);
    write.writeUInt32LE(2, 0);
    assert.equal(replyOf(ask(make(), opcode.open, write)).error, -30);
  });

  it("counts who has it open", () => {
    const file = make();
    ask(file, opcode.open, Buffer.alloc(8));
    ask(file, opcode.open, Buffer.alloc(8));
    assert.equal(file.opens, 2);
    for (let i = 0; i < 3; i++) ask(file, opcode.release);
    assert.equal(file.opens, 0);
  });

  it("hands on reads, never beyond its end, with who waits for them", () => {
    assert.deepEqual(ask(make(), opcode.read, readBody(8192, 4096)), {
      kind: "read",
      read: { unique: 9n, thread: 5, offset: 8192, bytes: fileBytes - 8192 },
    });
    assert.equal(replyOf(ask(make(), opcode.read, readBody(16_384, 4096))).body.length, 0);
  });

  it("answers what it need not know so that the kernel does not ask again, and notes not at all", () => {
    assert.equal(replyOf(ask(make(), 22)).error, -38);
    assert.deepEqual(ask(make(), opcode.interrupt), { kind: "none" });
  });
});
