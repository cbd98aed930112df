import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { access, copyFile, mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { Failure } from "../base/failure.ts";
import { printable } from "./printable.ts";

/** Clusters of this size cost nothing against smaller ones: 1 % of what a guest writes. */
const clusterBytes = 65536;

/**
 * Puts an empty overlay for a device of `bytes` bytes at `target`. It names no backing file: the VMM is
 * told of that at
 * start. Empty overlays of one size are all the same: the first one is made and kept in `directory`, the others are
 * copies (0.4 ms instead of 32).
 */
export async function createOverlay(directory: string, target: string, bytes: number): Promise<void> {
  const prepared = path.join(directory, `empty-${bytes}.qcow2`);
  const known = await access(prepared).then(
    () => true,
    () => false,
  );
  if (!known) await prepare(prepared, bytes);
  await copyFile(prepared, target);
}

/** Several may do this at once: each makes its own, and the last one stays. */
async function prepare(prepared: string, bytes: number): Promise<void> {
  await mkdir(path.dirname(prepared), { recursive: true, mode: 0o700 });
  const temporary = `${prepared}.${randomUUID()}`;
  const options = ["-q", "-f", "qcow2", "-o", `cluster_size=${clusterBytes}`];
  try {
    await promisify(execFile)("qemu-img", ["create", ...options, temporary, String(bytes)]);
    await rename(temporary, prepared);
  } catch (error) {
    await rm(temporary, { force: true });
    const { code, stderr = "" } = error as { code?: unknown; stderr?: string };
    const why = code === "ENOENT" ? "is qemu-utils installed?" : printable(stderr, 300);
    throw new Failure("unavailable", `an empty overlay cannot be made: ${why}`, { cause: error });
  }
}
