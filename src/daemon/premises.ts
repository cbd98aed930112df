import { rmdirSync } from "node:fs";
import { chmod, lstat, mkdir } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { FileLock } from "../base/file-lock.ts";
import { makeRunDirectory, runDirectoryOf } from "./run-directory.ts";

/** A data directory that is this daemon's alone, and the directory for its sockets. */
export interface Premises extends Disposable {
  readonly data: string;
  readonly runDirectory: string;
}

/**
 * Makes the directories and locks the data directory. Throws `conflict`, naming the daemon that runs on it, and
 * `denied` when it belongs to somebody else.
 */
export async function enterPremises(data: string, env: NodeJS.ProcessEnv): Promise<Premises> {
  const uid = process.getuid?.() ?? 0;
  await mkdir(data, { recursive: true, mode: 0o700 });
  const { uid: owner } = await lstat(data);
  if (owner !== uid)
    throw new Failure("denied", `LARDER_DATA ${data} belongs to user ${owner}, not to ${uid}`);
  await chmod(data, 0o700);
  const lock = lockOf(data);
  try {
    const runDirectory = runDirectoryOf(data, { env, uid });
    await makeRunDirectory(runDirectory, uid);
    const leave = () => {
      removeEmpty(runDirectory);
      lock[Symbol.dispose]();
    };
    return { data, runDirectory, [Symbol.dispose]: leave };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** What is not empty keeps what the next start, or `doctor --leaks`, shall find. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Not empty, or gone already.
  }
}

function lockOf(data: string): FileLock {
  try {
    return FileLock.take(path.join(data, "lock"), `the daemon with process id ${process.pid}`);
  } catch (error) {
    if (!Failure.is(error, "conflict")) throw error;
    const message = `${error.message}; 'larder stop' ends it, or set LARDER_DATA and LARDER_PORT for a second one`;
    throw new Failure("conflict", message, { cause: error });
  }
}
