import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { FrameReader } from "../build/frame-reader.ts";
import { encodeFrame, encodeJson, frameKind, parseFaultNews, parseHello, readFrame } from "./wire.ts";

async function* pieces(bytes: Buffer, pieceBytes: number) {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

const read = (bytes: Buffer, pieceBytes = 5) => new FrameReader(pieces(bytes, pieceBytes), "a test");
const isCorrupt = (error: unknown) => Failure.is(error, "corrupt");

describe("The wire between a daemon and a memory server", () => {
  it("carries frames, however they are cut", async () => {
    const news = { pid: 12, what: "stalled", waitedMs: 1000 } as const;
    const all = [
      encodeJson(frameKind.hello, 0, { build: "b" }),
      encodeFrame(frameKind.chunk, 3, Buffer.from("abc")),
      encodeJson(frameKind.fault, 4, news),
    ];
    const reader = read(Buffer.concat(all));
    assert.deepEqual(parseHello(await readFrame(reader)), { build: "b" });
    const chunk = await readFrame(reader);
    assert.deepEqual([chunk.kind, chunk.chunk, Buffer.from(chunk.body).toString()], [16, 3, "abc"]);
    const frame = await readFrame(reader);
    assert.equal(frame.chunk, 4);
    assert.deepEqual(parseFaultNews(frame), news);
  });

  it("refuses what is cut off, too long, or no value of its kind", async () => {
    await assert.rejects(readFrame(read(encodeFrame(1, 2, Buffer.alloc(9)).subarray(0, 15))), isCorrupt);
    const long = encodeFrame(frameKind.chunk, 0);
    long.writeUInt32LE(2 ** 31, 8);
    await assert.rejects(readFrame(read(long)), isCorrupt);
    const nonsense = { kind: 1, chunk: 0, body: Buffer.from('{"build":7}') };
    assert.throws(() => parseHello(nonsense), isCorrupt);
    assert.throws(() => parseFaultNews(nonsense), isCorrupt);
    assert.throws(() => parseHello({ ...nonsense, body: Buffer.from("{") }), isCorrupt);
  });
});
