import type { Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { StatusError } from "./answers.ts";

/** Bytes read at once: one goes out while the next is read, so this bounds the memory of a download. */
const pieceBytes = 64 * 1024;

interface Range {
  readonly first: number;
  readonly last: number;
}

/** Answers with the bytes of a file, whole or a range of it, packed when the client likes that. */
export async function download(
  path: string,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
): Promise<void> {
  await using file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR")
      throw new StatusError(404, `path '${path}' does not exist`);
    throw error;
  });
  const stats = await file.stat();
  if (stats.isDirectory()) throw new StatusError(400, `path '${path}' is a directory`);
  const headers = {
    "content-type": "application/octet-stream",
    "accept-ranges": "bytes",
    vary: "Accept-Encoding",
  };
  const range = rangeOf(request.headers.range, stats);
  if (range === null) {
    response.writeHead(416, { "content-range": `bytes */${stats.size}` });
    response.end();
    return;
  }
  if (range === undefined && stats.size > 0 && acceptsGzip(request.headers["accept-encoding"])) {
    response.writeHead(200, { ...headers, "content-encoding": "gzip" });
    await pipeline(pieces(file, 0, stats.size), createGzip({ level: 1 }), response);
    return;
  }
  const { first, last } = range ?? { first: 0, last: stats.size - 1 };
  const length = { "content-length": last - first + 1 };
  const partial = { "content-range": `bytes ${first}-${last}/${stats.size}` };
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    ...length,
    ...(range === undefined ? {} : partial),
  });
  await pipeline(pieces(file, first, last + 1), response);
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

function acceptsGzip(header: string | string[] | undefined): boolean {
  const offers = String(header ?? "")
    .split(",")
    .map((each) => each.trim());
  return offers.some((offer) => /^gzip(?:;q=(?!0(?:\.0*)?$).*)?$/.test(offer));
}

/** One range of bytes; undefined when none is asked for (or several: all is sent then), null when it is not there. */
export function rangeOf(header: string | undefined, { size }: Pick<Stats, "size">): Range | undefined | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null) return undefined;
  const [, from = "", to = ""] = match;
  if (from === "" && to === "") return undefined;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  return first > last || first >= size ? null : { first, last };
}
