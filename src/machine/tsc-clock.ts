import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";

/**
 * The frequency of the host's time stamp counter in kHz, which emulated processors show to their guests.
 * Read once per boot of the host and kept in `directory`: later readings may move with frequency scaling.
 */
export async function hostTscKhz(directory: string): Promise<number> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const file = path.join(directory, "tsc-khz.json");
  const kept = await readFile(file, "utf8")
    .then(JSON.parse)
    .catch(() => null);
  if (isKept(kept) && kept.bootId === bootId) return kept.tscKhz;
  const tscKhz = parseTscKhz(await readFile("/proc/cpuinfo", "utf8"));
  await mkdir(directory, { recursive: true });
  await writeFile(`${file}.new`, JSON.stringify({ bootId, tscKhz }));
  await rename(`${file}.new`, file);
  return tscKhz;
}

function isKept(value: unknown): value is { bootId: string; tscKhz: number } {
  const kept = value as { bootId?: unknown; tscKhz?: unknown } | null;
  return typeof kept?.bootId === "string" && typeof kept.tscKhz === "number";
}

/** "cpu MHz" of the first processor in the text of /proc/cpuinfo, in whole kHz. */
export function parseTscKhz(cpuinfo: string): number {
  const megahertz = /^cpu MHz\s*:\s*([\d.]+)/m.exec(cpuinfo)?.[1];
  if (megahertz === undefined) throw new Failure("unavailable", "/proc/cpuinfo tells no 'cpu MHz'");
  return Math.round(Number(megahertz) * 1000);
}
