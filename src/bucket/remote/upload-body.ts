import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { Failure } from "../../base/failure.ts";
import type { PutFile } from "../bucket.ts";
import type { RequestBody } from "../http/http-message.ts";

/** Bytes that are read, hashed and sent at once: none of it holds the event loop up. */
const pieceBytes = 512 * 1024;

/** A stretch of what is to be put. It can be read as often as it has to be sent. */
export interface Slice extends RequestBody {
  /** In hex. */
  digest(algorithm: "sha256" | "md5", signal: AbortSignal): Promise<string>;
}

/** What is to be put, in memory or in a file. A file is not read into memory: it is read again for every sending. */
export interface UploadBody extends AsyncDisposable {
  readonly bytes: number;
  slice(offset: number, bytes: number): Slice;
}

/** Throws `corrupt` when a file is not as long as was said. */
export async function openBody(body: Uint8Array | PutFile): Promise<UploadBody> {
  if (body instanceof Uint8Array) {
    return {
      bytes: body.length,
      slice: (offset, bytes) => sliceOf(bytes, () => inMemory(body.subarray(offset, offset + bytes))),
      [Symbol.asyncDispose]: async () => {},
    };
  }
  const file = await open(body.path, "r").catch((error: unknown) => {
    throw Failure.from(error, `there is nothing to put at ${body.path}`);
  });
  try {
    if ((await file.stat()).size !== body.bytes) throw wrongLength(body.bytes);
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    bytes: body.bytes,
    slice: (offset, bytes) => sliceOf(bytes, () => inFile(file, offset, bytes)),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

function sliceOf(bytes: number, pieces: () => AsyncIterable<Uint8Array>): Slice {
  return {
    bytes,
    pieces,
    digest: async (algorithm, signal) => {
      const sum = createHash(algorithm);
      for await (const piece of pieces()) {
        signal.throwIfAborted();
        sum.update(piece);
      }
      return sum.digest("hex");
    },
  };
}

async function* inMemory(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(at, at + pieceBytes);
  }
}

/** Each piece is in memory of its own: the socket may still hold the one before. */
async function* inFile(file: FileHandle, offset: number, bytes: number): AsyncIterable<Uint8Array> {
  for (let done = 0; done < bytes; ) {
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, bytes - done));
    const { bytesRead } = await file.read(piece, 0, piece.length, offset + done);
    if (bytesRead === 0) throw wrongLength(offset + bytes);
    done += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

function wrongLength(bytes: number): Failure {
  return new Failure("corrupt", `the file to be put is not ${bytes} bytes long`);
}
