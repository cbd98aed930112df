import { lstat, readlink, stat } from "node:fs/promises";
import type { LibraryPath } from "./confinement.ts";

/** Where systems keep what the dynamic linker needs. */
const candidates = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib", "/lib64"];

/** The system's library directories, to be bound whole: 48 single files are slower to bind. */
export async function hostLibraries(): Promise<LibraryPath[]> {
  const found: LibraryPath[] = [];
  for (const path of candidates) {
    const entry = await lstat(path).catch(() => undefined);
    if (entry === undefined) continue;
    if (entry.isSymbolicLink()) found.push({ kind: "link", path, target: await readlink(path) });
    else if (entry.isDirectory()) found.push({ kind: "directory", path });
  }
  return found;
}

/**
 * The group that may use /dev/kvm. Undefined when there is no such device, and when that group is root's:
 * no machine gets that one.
 */
export async function kvmGroup(): Promise<number | undefined> {
  const gid = (await stat("/dev/kvm").catch(() => undefined))?.gid;
  return gid === 0 ? undefined : gid;
}
