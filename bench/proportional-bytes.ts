import { readFile } from "node:fs/promises";

/** What processes take of this machine's memory, their share of what they share counted: PSS of proc(5), in bytes. */
export async function proportionalBytes(processes: readonly object[]): Promise<number> {
  let bytes = 0;
  for (const each of processes) {
    const pid = (each as { readonly pid?: number }).pid;
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    bytes += 1024 * Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return bytes;
}
