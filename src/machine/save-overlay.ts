import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { Failure } from "../base/failure.ts";
import type { Change } from "../build/merge-index.ts";
import { type OverlayExtent, overlayExtents } from "./overlay-map.ts";
import { printable } from "./printable.ts";

/** The largest map that is read: half a million entries. */
const mapBytesMax = 64 * 1024 * 1024;
const pieceBytes = 1024 * 1024;

export interface SaveOverlayOptions {
  /** Of a machine that is stopped: then everything is in the file. */
  readonly overlay: string;
  readonly deviceBytes: number;
  /** A path for what the overlay holds, one after the other. */
  readonly target: string;
}

/** Saves what a machine wrote to its disk; resolves to where on the disk that belongs. */
export async function saveOverlay(
  { overlay, deviceBytes, target }: SaveOverlayOptions,
  signal: AbortSignal,
): Promise<Change[]> {
  const extents = overlayExtents(await mapOf(overlay, signal), deviceBytes);
  // The machine's user owns the directory: what lies there by this name now must still be a file.
  await using source = await open(overlay, constants.O_RDONLY | constants.O_NOFOLLOW);
  await using file = await open(target, "wx", 0o600);
  let written = 0;
  const changes: Change[] = [];
  for (const extent of extents) {
    const zero = extent.fileOffset === undefined;
    if (!zero) written = await copy(source, extent, file, written, signal);
    const { offset, length } = extent;
    const last = changes.at(-1);
    if (last !== undefined && last.zero === zero && last.offset + last.length === offset)
      changes[changes.length - 1] = { ...last, length: last.length + length };
    else changes.push({ offset, length, zero });
  }
  return changes;
}

/** The overlay is asked for itself alone, whatever its header says of other files: its writer is not trusted. */
async function mapOf(overlay: string, signal: AbortSignal): Promise<string> {
  const file = { driver: "file", filename: overlay };
  const image = `json:${JSON.stringify({ driver: "qcow2", backing: null, file })}`;
  try {
    const options = { maxBuffer: mapBytesMax, signal };
    const { stdout } = await promisify(execFile)("qemu-img", ["map", "-U", "--output=json", image], options);
    return stdout;
  } catch (error) {
    signal.throwIfAborted();
    const { code, stderr = "" } = error as { code?: unknown; stderr?: string };
    const why = code === "ENOENT" ? "is qemu-utils installed?" : printable(stderr, 300);
    throw new Failure("unavailable", `the overlay cannot be read: ${why}`, { cause: error });
  }
}

async function copy(
  source: FileHandle,
  { fileOffset = 0, length }: OverlayExtent,
  target: FileHandle,
  position: number,
  signal: AbortSignal,
): Promise<number> {
  const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, length));
  for (let done = 0; done < length; ) {
    signal.throwIfAborted();
    const bytes = Math.min(buffer.length, length - done);
    const { bytesRead } = await source.read(buffer, 0, bytes, fileOffset + done);
    // Clusters at the end of the file may not have been written out to their full length: the rest is zeros.
    buffer.fill(0, bytesRead, bytes);
    for (let at = 0; at < bytes; )
      at += (await target.write(buffer, at, bytes - at, position + done + at)).bytesWritten;
    done += bytes;
  }
  return position + length;
}
