import { readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";

/**
 * `MAJOR:MINOR` of the whole disk that a file lies on, as control groups want it. Undefined where the file system is
 * on no single disk that the kernel would tell (btrfs, overlayfs, tmpfs, the network).
 */
export async function diskDeviceOf(file: string, sys = "/sys"): Promise<string | undefined> {
  try {
    const { dev } = await stat(file);
    // The kernel's encoding of a device's numbers; gnu_dev_major(3).
    const major = (dev >> 8) & 0xfff;
    const minor = (dev & 0xff) | ((dev >> 12) & 0xfff00);
    const device = await realpath(path.join(sys, "dev/block", `${major}:${minor}`));
    const isPart = await readFile(path.join(device, "partition")).then(
      () => true,
      () => false,
    );
    return (await readFile(path.join(isPart ? path.dirname(device) : device, "dev"), "utf8")).trim();
  } catch {
    return undefined;
  }
}
