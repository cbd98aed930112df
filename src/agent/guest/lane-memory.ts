import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import type { Foreign, Koffi } from "./foreign.ts";

/** Memory of the agent's that stays where it is in the machine, in one piece there. */
export interface LanePage {
  readonly bytes: Buffer;
  /** Where it begins in the machine's memory. */
  readonly address: number;
}

/** Gives the memory of one more lane, for ever; undefined when there is none to be had. */
export type TakeLanePage = () => LanePage | undefined;

export const hugePageBytes = 2 * 1024 * 1024;
const pageBytes = 4096;
const poolFile = "/proc/sys/vm/nr_hugepages";
// From the kernel's uapi, mman.h and mman-common.h.
const readAndWrite = 0x1 | 0x2;
const privateAnonymous = 0x02 | 0x20;
const hugePopulated = 0x40000 | 0x8000;
// From the kernel's documentation, admin-guide/mm/pagemap.rst.
const present = 1n << 63n;
const frameMask = (1n << 55n) - 1n;

/** Takes huge pages from the kernel: unlike others they are never moved while somebody has them. */
export function takeHugePage(koffi: Koffi): LanePage | undefined {
  try {
    const take = () => mapAnonymous(koffi, hugePageBytes, hugePopulated);
    const memory = take() ?? (growPool(), take()); // One that was left by an agent before this one is as good.
    const address = memory && frameOf(memory.address);
    if (memory !== undefined && address !== undefined) return { bytes: memory.bytes, address };
  } catch {
    // told below
  }
  return undefined; // Files pass by the channel.
}

function growPool(): void {
  writeFileSync(poolFile, String(Number(readFileSync(poolFile, "utf8")) + 1));
}

/** Memory from the kernel that is never given back, by its address in this process; undefined when it gives none. */
export function mapAnonymous(koffi: Koffi, length: number, flags = 0): LanePage | undefined {
  const mmap = koffi.load(null).func("void *mmap(void *, size_t, int, int, int, long)") as unknown as Foreign<
    [null, number, number, number, number, number],
    unknown
  >;
  const pointer = mmap(null, length, readAndWrite, privateAnonymous | flags, -1, 0);
  const address = Number(koffi.address(pointer));
  if (address > Number.MAX_SAFE_INTEGER) return undefined; // MAP_FAILED
  return { bytes: Buffer.from(koffi.view(pointer, length)), address };
}

/** The address in the machine of the page at `address`; undefined for one that nobody tells. */
function frameOf(address: number): number | undefined {
  const fd = openSync("/proc/self/pagemap", "r");
  try {
    const entry = Buffer.alloc(8);
    readSync(fd, entry, 0, 8, (address / pageBytes) * 8);
    const bits = entry.readBigUInt64LE();
    const frame = Number(bits & frameMask);
    return (bits & present) === 0n || frame === 0 ? undefined : frame * pageBytes;
  } finally {
    closeSync(fd);
  }
}
