import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { FileLock } from "../base/file-lock.ts";

/** How often a lock that somebody else holds is tried. */
const pollMs = 250;

/**
 * Waits until nobody else prepares anything in the cache of downloads, and keeps others out until it is disposed of.
 * `onWait` is called once, with who has it, if it has to wait.
 */
export async function lockCache(
  directory: string,
  clock: Clock,
  onWait: (sentence: string) => void,
  signal: AbortSignal,
): Promise<Disposable> {
  await mkdir(directory, { recursive: true });
  for (let tries = 0; ; tries++) {
    signal.throwIfAborted();
    try {
      return FileLock.take(path.join(directory, "lock"), `the process with id ${process.pid}`);
    } catch (error) {
      if (!Failure.is(error, "conflict")) throw error;
      if (tries === 0) onWait(error.message);
      await clock.sleep(pollMs, signal);
    }
  }
}
