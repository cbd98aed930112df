import assert from "node:assert/strict";
import { chunkType, magic } from "../protocol.ts";

/** A reply to a request, put together from its chunks. */
export interface Reply {
  readonly cookie: bigint;
  readonly errno: number;
  /** Stretches of a read, in the order they came. Holes have no data. */
  readonly stretches: { readonly offset: number; readonly bytes: number; readonly data?: Buffer }[];
  /** Extents of a block status. */
  readonly extents: { readonly bytes: number; readonly flags: number }[];
}

/** Splits what a server sent after the handshake into replies; asserts that it is whole and well-formed. */
export function structuredReplies(bytes: Buffer): Reply[] {
  const open = new Map<bigint, { -readonly [K in keyof Reply]: Reply[K] }>();
  const done: Reply[] = [];
  for (let at = 0; at < bytes.length; ) {
    assert.equal(bytes.readUInt32BE(at), magic.structuredReply);
    const cookie = bytes.readBigUInt64BE(at + 8);
    const end = at + 20 + bytes.readUInt32BE(at + 16);
    assert.ok(end <= bytes.length, "a chunk is cut off");
    const reply = open.get(cookie) ?? { cookie, errno: 0, stretches: [], extents: [] };
    open.set(cookie, reply);
    const payload = bytes.subarray(at + 20, end);
    const type = bytes.readUInt16BE(at + 6);
    if (type === chunkType.error) reply.errno = payload.readUInt32BE(0);
    else addChunk(reply, type, payload);
    if ((bytes.readUInt16BE(at + 4) & 1) === 1) {
      done.push(reply);
      open.delete(cookie);
    }
    at = end;
  }
  assert.equal(open.size, 0, "a reply is cut off");
  return done;
}

function addChunk(reply: Reply, type: number, payload: Buffer): void {
  const offset = () => Number(payload.readBigUInt64BE(0));
  if (type === chunkType.offsetData) {
    const data = payload.subarray(8);
    reply.stretches.push({ offset: offset(), bytes: data.length, data });
  } else if (type === chunkType.offsetHole) {
    reply.stretches.push({ offset: offset(), bytes: payload.readUInt32BE(8) });
  } else if (type === chunkType.blockStatus) {
    for (let at = 4; at < payload.length; at += 8) {
      reply.extents.push({ bytes: payload.readUInt32BE(at), flags: payload.readUInt32BE(at + 4) });
    }
  } else {
    assert.equal(type, chunkType.none);
    assert.equal(payload.length, 0);
  }
}

/** The bytes of a read, its stretches put together. */
export function dataOf(reply: Reply): Buffer {
  const sorted = [...reply.stretches].sort((a, b) => a.offset - b.offset);
  return Buffer.concat(sorted.map(({ bytes, data }) => data ?? Buffer.alloc(bytes)));
}
