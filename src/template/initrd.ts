import { readFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { type CpioEntry, cpioArchive } from "./cpio.ts";
import type { KernelFiles } from "./kernel-files.ts";
import { resolveModules } from "./kernel-modules.ts";

/**
 * Drivers of the devices that a machine has: disks, channel, network and randomness, all behind virtio-mmio.
 * What they need themselves is added; ext4 and the console are part of Debian's kernel.
 */
const drivers = ["virtio_mmio", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng", "ext4"] as const;

export const guestDirectory = path.join(import.meta.dirname, "guest");

/**
 * The guest's first root file system: busybox, drivers, and guest/init. The same kernel and busybox give the same
 * bytes. `busybox` is the path of one that is linked statically.
 */
export async function initrd(kernel: KernelFiles, busybox: string): Promise<Buffer> {
  const modules = await resolveModules(drivers, kernel.modules);
  const directories = ["bin", "modules", "proc", "sys", "dev", "newroot"];
  const entries: CpioEntry[] = [
    ...directories.map((name): CpioEntry => ({ kind: "directory", path: name, mode: 0o755 })),
    // The kernel opens it before anything is mounted.
    { kind: "device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", mode: 0o755, data: await readFile(busybox) },
    { kind: "file", path: "init", mode: 0o755, data: await readFile(path.join(guestDirectory, "init")) },
    ...modules.map(({ name, data }, index): CpioEntry => {
      const order = String(index).padStart(2, "0");
      return { kind: "file", path: `modules/${order}-${name}.ko`, mode: 0o644, data };
    }),
  ];
  return gzipSync(cpioArchive(entries), { level: 9 });
}
