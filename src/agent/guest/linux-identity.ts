import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { errnoError, type Foreign, type Koffi } from "./foreign.ts";
import { hostsWith } from "./hosts.ts";
import type { MachineIdentity } from "./machine-identity.ts";
import { overwrite } from "./overwrite.ts";

// From the kernel's uapi: time.h, random.h, mount.h.
const clockRealtime = 0;
const addEntropyRequest = 0x40085203;
const reseedRequest = 0x5207;
const bindMount = 4096;

const bootIdPath = "/proc/sys/kernel/random/boot_id";
/** On a file system in memory: what is bound over the kernel's file is never part of the disk. */
const bootIdFile = "/run/larder-boot-id";
/** The same: whoever starts from that disk is another sandbox. */
const factDirectory = "/run/e2b";

/** The identity of the machine that the agent runs in. Needs root. */
export class LinuxIdentity implements MachineIdentity {
  readonly #koffi: Koffi;
  readonly #calls: ReturnType<typeof bind>;
  readonly #random = openSync("/dev/urandom", "r+");

  constructor(koffi: Koffi) {
    this.#koffi = koffi;
    this.#calls = bind(koffi);
  }

  now(): number {
    return Date.now();
  }

  setClock(ms: number): void {
    const timespec = BigInt64Array.of(
      BigInt(Math.floor(ms / 1000)),
      BigInt(Math.floor(ms % 1000)) * 1_000_000n,
    );
    if (this.#calls.setTime(clockRealtime, timespec) !== 0) throw errnoError(this.#koffi, "clock_settime");
  }

  addEntropy(bytes: Uint8Array): void {
    const { control, addRandom } = this.#calls;
    // struct rand_pool_info { int entropy_count (bits); int buf_size (bytes); __u32 buf[]; }
    const info = Buffer.alloc(8 + bytes.length);
    info.writeInt32LE(bytes.length * 8, 0);
    info.writeInt32LE(bytes.length, 4);
    info.set(bytes, 8);
    if (control(this.#random, addEntropyRequest, info) !== 0) throw errnoError(this.#koffi, "RNDADDENTROPY");
    if (control(this.#random, reseedRequest, null) !== 0) throw errnoError(this.#koffi, "RNDRESEEDCRNG");
    // Node's own OpenSSL, whose generators were seeded before the snapshot.
    addRandom(bytes, bytes.length, bytes.length);
  }

  setHostname(name: string): void {
    writeFileSync("/proc/sys/kernel/hostname", name);
    overwrite("/etc/hostname", `${name}\n`);
    const hosts = existsSync("/etc/hosts") ? readFileSync("/etc/hosts", "utf8") : "";
    overwrite("/etc/hosts", hostsWith(hosts, name));
  }

  setBootId(uuid: string): void {
    const bound = existsSync(bootIdFile);
    writeFileSync(bootIdFile, `${uuid}\n`, { mode: 0o444 });
    if (bound) return;
    if (this.#calls.mount(bootIdFile, bootIdPath, null, bindMount, null) !== 0) {
      throw errnoError(this.#koffi, "mount", bootIdPath);
    }
  }

  setMachineId(id: string): void {
    overwrite("/etc/machine-id", `${id}\n`);
  }

  showFact(name: string, value: string): void {
    mkdirSync(factDirectory, { recursive: true });
    writeFileSync(`${factDirectory}/.${name}`, value);
  }
}

/** Done once, before the snapshot that restored machines wake up from. */
function bind(koffi: Koffi) {
  const libc = koffi.load(null);
  const as = <Args extends unknown[]>(signature: string) => libc.func(signature) as unknown as Foreign<Args>;
  return {
    setTime: as<[number, BigInt64Array]>("int clock_settime(int, void *)"),
    control: as<[number, number, Buffer | null]>("int ioctl(int, unsigned long, void *)"),
    addRandom: as<[Uint8Array, number, number]>("void RAND_add(void *, int, double)"),
    mount: as<[string, string, null, number, null]>(
      "int mount(const char *, const char *, const char *, unsigned long, const void *)",
    ),
  };
}
