import type { Extent } from "../base/block-device.ts";
import { joinedExtents } from "./joined-extents.ts";
import { chunkType, wireBytes } from "./protocol.ts";
import { writeChunkHeader, writeSimpleHeader } from "./reply.ts";
import type { Request } from "./request.ts";

/** A stretch of a read that is answered by one chunk. */
export interface Piece {
  readonly offset: number;
  readonly bytes: number;
  readonly zero: boolean;
}

/** Where in a reply bytes of the device belong. */
export interface Target {
  readonly offset: number;
  readonly into: Buffer;
}

/** Cuts a read along what is known of the device; what the extents leave open is data. */
export function piecesOf({ offset, bytes }: Request, extents: readonly Extent[]): Piece[] {
  if (extents.length === 0) return [{ offset, bytes, zero: false }];
  let at = offset;
  return joinedExtents([...extents, { bytes, zero: false }], bytes).map((extent) => {
    at += extent.bytes;
    return { offset: at - extent.bytes, bytes: extent.bytes, zero: extent.zero };
  });
}

/** How long the whole reply is. A simple reply has one piece, of data. */
export function readReplyBytes(structured: boolean, pieces: readonly Piece[]): number {
  let sum = structured ? 0 : wireBytes.simpleHeader;
  for (const piece of pieces)
    sum += (structured ? chunkBytesBefore(piece) : 0) + (piece.zero ? 0 : piece.bytes);
  return sum;
}

/** Writes all of a reply to `into` but the device's bytes, and says where those belong. */
export function layOutRead(
  structured: boolean,
  cookie: bigint,
  pieces: readonly Piece[],
  into: Buffer,
): Target[] {
  if (!structured) {
    writeSimpleHeader(into, 0, cookie);
    return pieces.map(({ offset }) => ({ offset, into: into.subarray(wireBytes.simpleHeader) }));
  }
  const targets: Target[] = [];
  let at = 0;
  for (const [index, piece] of pieces.entries()) {
    const payloadAt = at + chunkBytesBefore(piece);
    const end = payloadAt + (piece.zero ? 0 : piece.bytes);
    writeChunkHeader(into, at, {
      type: piece.zero ? chunkType.offsetHole : chunkType.offsetData,
      last: index === pieces.length - 1,
      cookie,
      bytes: end - at - wireBytes.chunkHeader,
    });
    into.writeUInt32BE(Math.floor(piece.offset / 2 ** 32), at + wireBytes.chunkHeader);
    into.writeUInt32BE(piece.offset % 2 ** 32, at + wireBytes.chunkHeader + 4);
    if (piece.zero) into.writeUInt32BE(piece.bytes, payloadAt - 4);
    else targets.push({ offset: piece.offset, into: into.subarray(payloadAt, end) });
    at = end;
  }
  return targets;
}

/** Everything of a piece's chunk before the device's bytes: the header, the offset, and a hole's length. */
function chunkBytesBefore(piece: Piece): number {
  return wireBytes.chunkHeader + 8 + (piece.zero ? 4 : 0);
}
