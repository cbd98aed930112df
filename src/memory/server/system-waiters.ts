import { readFileSync } from "node:fs";
import type { Waiters } from "./faults.ts";

/** The bit of SIGKILL among the pending signals that /proc tells of. */
const killBit = 1n << 8n;

/** Waiters by their threads' numbers, as /proc shows them. */
export const systemWaiters: Waiters = {
  end(thread) {
    if (thread === 0) return false;
    try {
      // The number of any of its threads names a process.
      process.kill(thread, "SIGKILL");
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ESRCH";
    }
  },
  isEnding(thread) {
    return thread !== 0 && isEnding(statusOf(thread));
  },
  processOf(thread) {
    return Number(/^Tgid:\s*(\d+)$/m.exec(statusOf(thread) ?? "")?.[1] ?? thread);
  },
};

/** By the text of /proc/PID/status; undefined when there is no such process. */
export function isEnding(status: string | undefined): boolean {
  if (status === undefined || /^State:\s*[ZX]/m.test(status)) return true;
  const pending = /^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm;
  return Array.from(status.matchAll(pending)).some(([, bits]) => (BigInt(`0x${bits}`) & killBit) !== 0n);
}

function statusOf(thread: number): string | undefined {
  try {
    return readFileSync(`/proc/${thread}/status`, "latin1");
  } catch {
    return undefined;
  }
}
