import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Clock } from "../../base/clock.ts";

/** What the machine is used to, in the words of E2B's agent. Memory and disk in bytes. */
export interface Usage {
  /** Seconds since the epoch. */
  readonly ts: number;
  readonly cpu_count: number;
  readonly cpu_used_pct: number;
  readonly mem_total: number;
  readonly mem_used: number;
  readonly mem_cache: number;
  readonly mem_total_mib: number;
  readonly mem_used_mib: number;
  readonly disk_used: number;
  readonly disk_total: number;
}

interface Ticks {
  readonly busy: number;
  readonly all: number;
}

const mib = 1024 * 1024;

/**
 * Reads what the kernel counts. The processors' share is that since the reading before, the first time since
 * the boot.
 */
export class MachineUsage {
  readonly #clock: Clock;
  #before: Ticks = { busy: 0, all: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async now(): Promise<Usage> {
    const ticks = readTicks(readFileSync("/proc/stat", "utf8"));
    const all = ticks.all - this.#before.all;
    const busy = ticks.busy - this.#before.busy;
    this.#before = ticks;
    const memory = readMemory(readFileSync("/proc/meminfo", "utf8"));
    const { bsize, blocks, bfree } = await statfs("/");
    return {
      ts: Math.floor(this.#clock.now() / 1000),
      cpu_count: availableParallelism(),
      cpu_used_pct: all > 0 ? Math.round((10_000 * busy) / all) / 100 : 0,
      mem_total: memory.total,
      mem_used: memory.used,
      mem_cache: memory.cache,
      mem_total_mib: Math.floor(memory.total / mib),
      mem_used_mib: Math.floor(memory.used / mib),
      disk_used: (blocks - bfree) * bsize,
      disk_total: blocks * bsize,
    };
  }
}

/** The first line of /proc/stat (proc(5)): user nice system idle iowait irq softirq steal. */
function readTicks(stat: string): Ticks {
  const [, ...numbers] = (stat.split("\n", 1)[0] ?? "").trim().split(/\s+/).map(Number);
  const all = numbers.slice(0, 8).reduce((sum, each) => sum + each, 0);
  const idle = (numbers[3] ?? 0) + (numbers[4] ?? 0);
  return { all, busy: all - idle };
}

function readMemory(meminfo: string): { total: number; used: number; cache: number } {
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(meminfo)?.[1] ?? 0) * 1024;
  const total = bytes("MemTotal");
  return { total, used: total - bytes("MemAvailable"), cache: bytes("Cached") };
}
