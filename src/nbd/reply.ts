import type { Extent } from "../base/block-device.ts";
import { allocationContext, chunkFlag, chunkType, extentFlag, magic, wireBytes } from "./protocol.ts";
import type { Refusal } from "./request.ts";

/** "It is done", without data. */
export function doneReply(structured: boolean, cookie: bigint): Buffer {
  const bytes = Buffer.alloc(structured ? wireBytes.chunkHeader : wireBytes.simpleHeader);
  if (structured) writeChunkHeader(bytes, 0, { type: chunkType.none, last: true, cookie, bytes: 0 });
  else writeSimpleHeader(bytes, 0, cookie);
  return bytes;
}

/** "It failed"; the sentence travels only in a structured reply. */
export function errorReply(structured: boolean, cookie: bigint, { errno, sentence }: Refusal): Buffer {
  if (!structured) {
    const bytes = Buffer.alloc(wireBytes.simpleHeader);
    writeSimpleHeader(bytes, errno, cookie);
    return bytes;
  }
  const text = Buffer.from(sentence);
  const bytes = Buffer.alloc(wireBytes.chunkHeader + 6 + text.length);
  writeChunkHeader(bytes, 0, { type: chunkType.error, last: true, cookie, bytes: 6 + text.length });
  bytes.writeUInt32BE(errno, wireBytes.chunkHeader);
  bytes.writeUInt16BE(text.length, wireBytes.chunkHeader + 4);
  text.copy(bytes, wireBytes.chunkHeader + 6);
  return bytes;
}

/** The extents of `base:allocation`, at least one. */
export function blockStatusReply(cookie: bigint, extents: readonly Extent[]): Buffer {
  const bytes = Buffer.alloc(wireBytes.chunkHeader + 4 + 8 * extents.length);
  writeChunkHeader(bytes, 0, {
    type: chunkType.blockStatus,
    last: true,
    cookie,
    bytes: 4 + 8 * extents.length,
  });
  let at = bytes.writeUInt32BE(allocationContext.id, wireBytes.chunkHeader);
  for (const extent of extents) {
    at = bytes.writeUInt32BE(extent.bytes, at);
    at = bytes.writeUInt32BE(extent.zero ? extentFlag.hole | extentFlag.zero : 0, at);
  }
  return bytes;
}

/** The header of a simple reply; `errno` 0 is success, and the data of a read follows. */
export function writeSimpleHeader(into: Buffer, errno: number, cookie: bigint): void {
  into.writeUInt32BE(magic.simpleReply, 0);
  into.writeUInt32BE(errno, 4);
  into.writeBigUInt64BE(cookie, 8);
}

interface ChunkHeader {
  readonly type: number;
  /** No chunk of this reply follows. */
  readonly last: boolean;
  readonly cookie: bigint;
  /** Length of the payload. */
  readonly bytes: number;
}

/** The header of one chunk of a structured reply. */
export function writeChunkHeader(into: Buffer, at: number, chunk: ChunkHeader): void {
  into.writeUInt32BE(magic.structuredReply, at);
  into.writeUInt16BE(chunk.last ? chunkFlag.done : 0, at + 4);
  into.writeUInt16BE(chunk.type, at + 6);
  into.writeBigUInt64BE(chunk.cookie, at + 8);
  into.writeUInt32BE(chunk.bytes, at + 16);
}
