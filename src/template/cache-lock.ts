import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";

/**
 * Waits until nobody else prepares anything in the cache of downloads, and keeps others out until it is disposed of.
 * `onWait` is called once if it has to wait.
 *
 * The lock is the kernel's, held by a `flock` that lives as long as a pipe from this process: however this process
 * ends, the lock ends with it.
 */
export async function lockCache(
  directory: string,
  onWait: () => void,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  await mkdir(directory, { recursive: true });
  const file = path.join(directory, "lock");
  const atOnce = await hold(["--nonblock"], file, signal);
  if (atOnce !== undefined) return atOnce;
  onWait();
  const later = await hold([], file, signal);
  if (later === undefined) throw new Failure("internal", `${file} cannot be locked`);
  return later;
}

/** Resolves to undefined when `flock` gave up. */
function hold(options: string[], file: string, signal: AbortSignal): Promise<AsyncDisposable | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<AsyncDisposable | undefined>();
  const child = spawn("flock", [...options, "--close", file, "sh", "-c", "echo held; cat >/dev/null"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const ended = new Promise<void>((done) => child.once("close", () => done()));
  const release = async () => {
    child.stdin.end();
    await ended;
  };
  const onAbort = () => {
    reject(signal.reason as Error);
    child.kill("SIGKILL");
  };
  child.once("error", (cause) => reject(new Failure("not_found", "flock (util-linux) is needed", { cause })));
  child.once("close", () => resolve(undefined));
  child.stdout.once("data", () => resolve({ [Symbol.asyncDispose]: release }));
  // It may have ended already when its pipe is closed.
  child.stdin.on("error", () => {});
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}
