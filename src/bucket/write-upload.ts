import type { Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Failure } from "../base/failure.ts";
import type { PutFile } from "./bucket.ts";

/** Bytes copied at once. */
const pieceBytes = 2 ** 20;

/** Writes a body into a new file and syncs it. Throws `corrupt` when a file is not as long as it said. */
export async function writeUpload(
  temporary: string,
  body: Uint8Array | PutFile,
  signal: AbortSignal,
): Promise<Stats> {
  await using file = await open(temporary, "wx", 0o600);
  if (body instanceof Uint8Array) await file.writeFile(body, { signal });
  else await copyInto(file, body, signal);
  await file.sync();
  signal.throwIfAborted();
  return file.stat();
}

async function copyInto(target: FileHandle, { path, bytes }: PutFile, signal: AbortSignal): Promise<void> {
  await using source = await open(path, "r").catch((error: unknown) => {
    throw Failure.from(error, `there is nothing to put at ${path}`);
  });
  const piece = Buffer.allocUnsafe(pieceBytes);
  let done = 0;
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await source.read(piece, 0, piece.length, done);
    if (bytesRead === 0) break;
    done += bytesRead;
    if (done > bytes) break;
    await target.writeFile(piece.subarray(0, bytesRead));
  }
  if (done !== bytes) throw new Failure("corrupt", `the file to be put is not ${bytes} bytes long`);
}
