import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { errnoError, type Foreign, type Koffi } from "./foreign.ts";
import { hostsWith } from "./hosts.ts";
import type { MachineIdentity } from "./machine-identity.ts";

// From the kernel's uapi: time.h, random.h, mount.h.
const clockRealtime = 0;
const addEntropyRequest = 0x40085203;
const reseedRequest = 0x5207;
const bindMount = 4096;

const bootIdPath = "/proc/sys/kernel/random/boot_id";
/** On a file system in memory: what is bound over the kernel's file is never part of the disk. */
const bootIdFile = "/run/larder-boot-id";

/** The identity of the machine that the agent runs in. Needs root. */
export class LinuxIdentity implements MachineIdentity {
  readonly #koffi: Koffi;

  constructor(koffi: Koffi) {
    this.#koffi = koffi;
  }

  now(): number {
    return Date.now();
  }

  setClock(ms: number): void {
    const timespec = BigInt64Array.of(
      BigInt(Math.floor(ms / 1000)),
      BigInt(Math.floor(ms % 1000)) * 1_000_000n,
    );
    const clockSettime = this.#bind<[number, BigInt64Array]>("int clock_settime(int, void *)");
    if (clockSettime(clockRealtime, timespec) !== 0) throw errnoError(this.#koffi, "clock_settime");
  }

  addEntropy(bytes: Uint8Array): void {
    const ioctl = this.#bind<[number, number, Buffer | null]>("int ioctl(int, unsigned long, void *)");
    // struct rand_pool_info { int entropy_count (bits); int buf_size (bytes); __u32 buf[]; }
    const info = Buffer.alloc(8 + bytes.length);
    info.writeInt32LE(bytes.length * 8, 0);
    info.writeInt32LE(bytes.length, 4);
    info.set(bytes, 8);
    const fd = openSync("/dev/urandom", "r+");
    try {
      if (ioctl(fd, addEntropyRequest, info) !== 0) throw errnoError(this.#koffi, "RNDADDENTROPY");
      if (ioctl(fd, reseedRequest, null) !== 0) throw errnoError(this.#koffi, "RNDRESEEDCRNG");
    } finally {
      closeSync(fd);
    }
    // Node's own OpenSSL, whose generators were seeded before the snapshot.
    this.#bind<[Uint8Array, number, number]>("void RAND_add(void *, int, double)")(
      bytes,
      bytes.length,
      bytes.length,
    );
  }

  setHostname(name: string): void {
    writeFileSync("/proc/sys/kernel/hostname", name);
    writeFileSync("/etc/hostname", `${name}\n`);
    const hosts = existsSync("/etc/hosts") ? readFileSync("/etc/hosts", "utf8") : "";
    writeFileSync("/etc/hosts", hostsWith(hosts, name));
  }

  setBootId(uuid: string): void {
    const bound = existsSync(bootIdFile);
    writeFileSync(bootIdFile, `${uuid}\n`, { mode: 0o444 });
    if (bound) return;
    const mount = this.#bind<[string, string, null, number, null]>(
      "int mount(const char *, const char *, const char *, unsigned long, const void *)",
    );
    if (mount(bootIdFile, bootIdPath, null, bindMount, null) !== 0) {
      throw errnoError(this.#koffi, "mount", bootIdPath);
    }
  }

  setMachineId(id: string): void {
    writeFileSync("/etc/machine-id", `${id}\n`);
  }

  #bind<Args extends unknown[]>(signature: string): Foreign<Args> {
    return this.#koffi.load(null).func(signature) as unknown as Foreign<Args>;
  }
}
