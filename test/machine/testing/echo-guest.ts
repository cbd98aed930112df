import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { Failure } from "../../../src/base/failure.ts";
import { type CpioEntry, cpioArchive } from "../../../src/template/cpio.ts";
import { kernelFiles } from "../../../src/template/kernel-files.ts";
import { resolveModules } from "../../../src/template/kernel-modules.ts";

/** Where `npm test` has unpacked QEMU and the kernel before these tests run. */
export const cacheDirectory = process.env["LARDER_CACHE"] ?? path.join(homedir(), ".cache/larder");

/** Drivers of the devices that the tests touch. */
const drivers = ["virtio_mmio", "virtio_blk", "virtio_console"];

/**
 * The smallest guest that shows whether a machine works: it says so on the console, then takes each line that comes
 * over the channel for a command of its shell, and answers with a count and what the command printed, on one line.
 */
const init = `#!/bin/busybox sh
b=/bin/busybox
$b --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in /modules/*.ko; do insmod $m; done
until port=$(grep -lx agent /sys/class/virtio-ports/*/name); do usleep 2000; done 2>/dev/null
exec 3<>/dev/$(basename $(dirname $port))
echo "the guest is up"
n=0
while :; do
  if read -r line <&3; then n=$((n+1)); echo "$n" $(eval "$line" 2>&1) >&3; else usleep 2000; fi
done
`;

export interface EchoGuest {
  readonly kernel: string;
  readonly initrd: string;
  /** All zeros; the guest only finds it there. */
  readonly agentDisk: string;
}

/** Makes the guest's files in `directory`. Throws `not_found` when no kernel was unpacked in the cache. */
export async function echoGuest(directory: string, signal: AbortSignal): Promise<EchoGuest> {
  const kernel = await kernelFiles(await unpackedKernel(), signal);
  const modules = await resolveModules(drivers, kernel.modules);
  const folders = ["bin", "modules", "proc", "sys", "dev"];
  const entries: CpioEntry[] = [
    ...folders.map((name): CpioEntry => ({ kind: "directory", path: name, mode: 0o755 })),
    { kind: "device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", mode: 0o755, data: await readFile("/bin/busybox") },
    { kind: "file", path: "init", mode: 0o755, data: Buffer.from(init) },
    ...modules.map(({ name, data }, index): CpioEntry => {
      const order = String(index).padStart(2, "0");
      return { kind: "file", path: `modules/${order}-${name}.ko`, mode: 0o644, data };
    }),
  ];
  const initrd = path.join(directory, "initrd.gz");
  await writeFile(initrd, gzipSync(cpioArchive(entries), { level: 1 }));
  const agentDisk = path.join(directory, "agent-disk");
  await writeFile(agentDisk, "");
  await truncate(agentDisk, 2 ** 20);
  return { kernel: kernel.image, initrd, agentDisk };
}

async function unpackedKernel(): Promise<string> {
  const names = await readdir(cacheDirectory).catch(() => []);
  const name = names
    .filter((each) => each.startsWith("kernel-"))
    .sort()
    .at(-1);
  if (name === undefined) throw new Failure("not_found", `no kernel is unpacked in ${cacheDirectory}`);
  return path.join(cacheDirectory, name, "root");
}
