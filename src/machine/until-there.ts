import { existsSync, type FSWatcher, watch } from "node:fs";
import path from "node:path";
import { abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";

/** How often it is looked for a file where the system has no watch left. */
const pollMs = 5;

/**
 * Resolves when there is a file of this name; its directory must be there already. It is watched, not
 * polled: a VMM takes
 * a hundred milliseconds to make its socket, and many may be starting.
 */
export async function untilThere(file: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const { promise: there, resolve, reject } = Promise.withResolvers<void>();
  let watcher: FSWatcher;
  try {
    watcher = watch(path.dirname(file), () => existsSync(file) && resolve());
  } catch {
    while (!existsSync(file)) await clock.sleep(pollMs, signal);
    return;
  }
  watcher.on("error", reject);
  try {
    if (!existsSync(file)) await abortable(there, signal);
  } finally {
    watcher.close();
  }
}
