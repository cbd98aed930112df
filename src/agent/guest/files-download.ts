import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { laneHeader, laneLengthHeader, laneWorthBytes } from "../protocol/lane.ts";
import { StatusError } from "./answers.ts";
import { codingFor } from "./content-coding.ts";
import { fileFailure } from "./file-failure.ts";
import { sendByLane, type Stretch } from "./lane-transfers.ts";
import type { Lanes } from "./lanes.ts";

/** Bytes read at once: one goes out while the next is read, so this bounds the memory of a download. */
const pieceBytes = 64 * 1024;

/**
 * Larger files go as they are: packing them costs a guest's processor more than the way out of it. By a lane, all that
 * are worth one.
 */
const gzipBytesMax = 8 * 1024 * 1024;

interface Exchange {
  readonly request: Http2ServerRequest;
  readonly response: Http2ServerResponse;
  readonly lanes: Lanes;
}

/** Answers with the bytes of a file, whole or a range of it, packed when the client takes that. */
export async function download(path: string, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  // Without O_NONBLOCK, opening a pipe that nobody writes would take a thread of Node's pool for ever.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw fileFailure(error, path);
  });
  const stats = await file.stat();
  if (stats.isDirectory()) throw new StatusError(400, `path is a directory: ${path}`);
  if (!stats.isFile()) throw new StatusError(400, `path is not a regular file: ${path}`);
  const headers = {
    "content-type": "application/octet-stream",
    "accept-ranges": "bytes",
    "last-modified": stats.mtime.toUTCString(),
    vary: "Accept-Encoding",
  };
  const range = rangeOf(request.headers.range, stats);
  if (range === "unsatisfiable") {
    response.writeHead(416, { "content-range": `bytes */${stats.size}`, "content-length": 0 });
    response.end();
  } else if (range !== undefined) {
    const { first, last } = range;
    const part = { "content-range": `bytes ${first}-${last}/${stats.size}` };
    await sendStretch({ file, from: first, to: last + 1 }, exchange, 206, { ...headers, ...part });
  } else {
    await sendWhole(file, stats, exchange, headers);
  }
}

async function sendWhole(
  file: FileHandle,
  { size }: Stats,
  exchange: Exchange,
  headers: Record<string, string>,
): Promise<void> {
  const { request, response } = exchange;
  const coding = codingFor(request.headers["accept-encoding"]);
  if (coding === undefined) throw new StatusError(406, "the file can be sent as it is, or as gzip");
  const gzipMax = request.headers[laneHeader] === undefined ? gzipBytesMax : laneWorthBytes;
  if (size > gzipMax || (coding === "identity" && size >= laneWorthBytes)) {
    return await sendStretch({ file, from: 0, to: size }, exchange, 200, headers);
  }
  const { length, bytes } = await contentOf(file, size);
  if (coding === "gzip" && length !== 0) {
    response.writeHead(200, { ...headers, "content-encoding": "gzip" });
    await pipeline(bytes, createGzip({ level: 1 }), response.stream);
    return;
  }
  response.writeHead(200, length === undefined ? headers : { ...headers, "content-length": length });
  await pipeline(bytes, response.stream);
}

/** By a lane, where the host takes one, it is worth it and one is free. */
async function sendStretch(
  { file, from, to }: Stretch,
  { request, response, lanes }: Exchange,
  status: number,
  headers: Record<string, string>,
): Promise<void> {
  const asked = request.headers[laneHeader] !== undefined && to - from >= laneWorthBytes;
  using lane = asked ? lanes.open() : undefined;
  if (lane === undefined) {
    response.writeHead(status, { ...headers, "content-length": to - from });
    await pipeline(pieces(file, from, to), response.stream);
  } else {
    response.writeHead(status, { ...headers, [laneHeader]: lane.offer, [laneLengthHeader]: to - from });
    await sendByLane({ file, from, to }, lane, { request, response });
  }
}

interface Content {
  /** Missing: only its end tells. */
  readonly length?: number;
  readonly bytes: AsyncIterable<Buffer> | Iterable<Buffer>;
}

/** The files of /proc and /sys say nothing true of their size, mostly 0: what seems small is read to see. */
async function contentOf(file: FileHandle, size: number): Promise<Content> {
  if (size > pieceBytes) return { length: size, bytes: pieces(file, 0, size) };
  const room = Buffer.allocUnsafe(pieceBytes + 1);
  let length = 0;
  do {
    const { bytesRead } = await file.read(room, length, room.length - length, length);
    if (bytesRead === 0) return { length, bytes: [room.subarray(0, length)] };
    length += bytesRead;
  } while (length < room.length && length !== size);
  if (length === size) return { length, bytes: [room.subarray(0, length)] };
  return { bytes: toItsEnd(file, room) };
}

async function* toItsEnd(file: FileHandle, start: Buffer): AsyncIterable<Buffer> {
  for (let piece = start, at = 0; piece.length > 0; ) {
    yield piece;
    at += piece.length;
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(pieceBytes), 0, pieceBytes, at);
    piece = buffer.subarray(0, bytesRead);
  }
}

async function* pieces(file: FileHandle, from: number, to: number): AsyncIterable<Buffer> {
  for (let at = from; at < to; ) {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, to - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) throw new StatusError(500, "the file became shorter while it was read");
    at += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

interface Range {
  readonly first: number;
  readonly last: number;
}

/** The one range of bytes that is asked for; undefined when there is none, or several: then all is sent. */
export function rangeOf(
  header: string | undefined,
  { size }: Pick<Stats, "size">,
): Range | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  const [, from = "", to = ""] = match ?? [];
  if (from === "" && to === "") return undefined;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(to) < Number(from)) return undefined; // No range at all (RFC 9110, 14.1.1).
  return first > last ? "unsatisfiable" : { first, last };
}
