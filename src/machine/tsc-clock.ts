import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";

/** Texts of the host's kernel that the frequency is read from. */
export interface TscSources {
  /** /proc/cpuinfo. */
  readonly cpuinfo: string;
  /** /sys/devices/system/cpu/cpu0/tsc_freq_khz, which few kernels have. */
  readonly tscFreqKhz: string | undefined;
}

/**
 * The frequency of the host's time stamp counter in kHz, which emulated processors show to their guests.
 * Read once per boot of the host and kept in `directory`: later readings may move a little.
 */
export async function hostTscKhz(directory: string): Promise<number> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const file = path.join(directory, "tsc-khz.json");
  const kept = await readFile(file, "utf8")
    .then(JSON.parse)
    .catch(() => null);
  if (isKept(kept) && kept.bootId === bootId) return kept.tscKhz;
  const tscKhz = parseTscKhz({
    cpuinfo: await readFile("/proc/cpuinfo", "utf8"),
    tscFreqKhz: await readFile("/sys/devices/system/cpu/cpu0/tsc_freq_khz", "utf8").catch(() => undefined),
  });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, JSON.stringify({ bootId, tscKhz }));
  await rename(temporary, file);
  return tscKhz;
}

function isKept(value: unknown): value is { bootId: string; tscKhz: number } {
  const kept = value as { bootId?: unknown; tscKhz?: unknown } | null;
  return typeof kept?.bootId === "string" && typeof kept.tscKhz === "number";
}

/** How far two tellings of the same frequency may be from each other. */
const tolerance = 0.001;

/**
 * The frequency in whole kHz, from the best source there is:
 * what the kernel says outright; else "cpu MHz", if "bogomips", which is twice the counter's frequency and does not
 * change with the processor's, agrees; else half the bogomips: on bare metal "cpu MHz" is the momentary frequency.
 */
export function parseTscKhz({ cpuinfo, tscFreqKhz }: TscSources): number {
  const told = Number(tscFreqKhz);
  if (Number.isInteger(told) && told > 0) return told;
  const megahertz = fieldOf(cpuinfo, "cpu MHz");
  const bogomips = fieldOf(cpuinfo, "bogomips");
  const halfBogomips = bogomips === undefined ? undefined : bogomips / 2;
  const best =
    megahertz === undefined || (halfBogomips !== undefined && !near(megahertz, halfBogomips))
      ? halfBogomips
      : megahertz;
  if (best === undefined) throw new Failure("unavailable", "/proc/cpuinfo tells no frequency");
  return Math.round(best * 1000);
}

/** A field of the first processor. */
function fieldOf(cpuinfo: string, name: string): number | undefined {
  const text = new RegExp(`^${name}\\s*:\\s*([\\d.]+)`, "m").exec(cpuinfo)?.[1];
  const value = Number(text);
  return value > 0 ? value : undefined;
}

/** True when two frequencies are the same one, told twice. */
export function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= tolerance * b;
}
