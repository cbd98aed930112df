import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { Failure } from "../base/failure.ts";
import type { ModuleSource } from "./kernel-modules.ts";
import { runCommand } from "./run-command.ts";

/** A kernel as it lies in an unpacked package. */
export interface KernelFiles {
  /** The compressed kernel that QEMU starts. */
  readonly image: string;
  readonly modules: ModuleSource;
}

/** Finds the one kernel below `root` and its modules. Throws `not_found` when there is none. */
export async function kernelFiles(root: string, signal: AbortSignal): Promise<KernelFiles> {
  const boot = path.join(root, "boot");
  const image = (await readdir(boot).catch(() => [])).find((name) => name.startsWith("vmlinuz-"));
  if (image === undefined) throw new Failure("not_found", `there is no kernel in ${boot}`);
  const folder = path.join(root, "lib/modules", image.slice("vmlinuz-".length));
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true })) {
    const match = /^(.*)\.ko(?:\.(?:xz|gz|zst))?$/.exec(path.basename(entry));
    if (match?.[1] !== undefined) files.set(moduleName(match[1]), path.join(folder, entry));
  }
  const builtin = (await readFile(path.join(folder, "modules.builtin"), "utf8")).split("\n");
  const read = async (name: string) => {
    const file = files.get(name);
    return file === undefined ? undefined : decompressed(file, signal);
  };
  return {
    image: path.join(boot, image),
    modules: { builtin: new Set(builtin.map((line) => moduleName(path.basename(line, ".ko")))), read },
  };
}

function moduleName(name: string): string {
  return name.replaceAll("-", "_");
}

async function decompressed(file: string, signal: AbortSignal): Promise<Buffer> {
  // Node has no xz; the busybox that goes into the initrd does.
  if (file.endsWith(".xz")) return runCommand("busybox", ["xz", "-dc", file], {}, signal);
  const data = await readFile(file);
  if (file.endsWith(".gz")) return gunzipSync(data);
  return file.endsWith(".zst") ? zstdDecompressSync(data) : data;
}
