import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";

/** What this process holds open: descriptors by what they point at, and timers. */
export interface Census {
  readonly descriptors: readonly string[];
  readonly timers: number;
}

export function takeCensus(): Census {
  const descriptors: string[] = [];
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      descriptors.push(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // The descriptor that listed the directory is gone by now.
    }
  }
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  return { descriptors: descriptors.filter(countable).sort(), timers };
}

/** Asserts that nothing is open now that was not open `before`. Waits some turns for closes to be carried out. */
export async function assertNothingLeft(before: Census): Promise<void> {
  let left = newSince(before);
  for (let turn = 0; turn < 200 && (left.descriptors.length > 0 || left.timers > 0); turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    left = newSince(before);
  }
  assert.deepEqual(left, { descriptors: [], timers: 0 }, "something was left open");
}

function newSince(before: Census): Census {
  const known = new Map<string, number>();
  for (const name of before.descriptors) known.set(name, (known.get(name) ?? 0) + 1);
  const now = takeCensus();
  const descriptors = now.descriptors.filter((name) => {
    const count = known.get(name) ?? 0;
    known.set(name, count - 1);
    return count <= 0;
  });
  return { descriptors, timers: Math.max(0, now.timers - before.timers) };
}

/** The runtime's own descriptors come and go; files and sockets are ours. */
function countable(name: string): boolean {
  return !["anon_inode:", "pipe:", "/proc/", "/dev/null"].some((own) => name.startsWith(own));
}
