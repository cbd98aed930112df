import { createHash } from "node:crypto";
import { chmod, lstat, mkdir } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";

export interface RunDirectoryFacts {
  readonly env: NodeJS.ProcessEnv;
  /** Of the daemon. */
  readonly uid: number;
}

/**
 * Where the sockets of a daemon with this `LARDER_DATA` lie. Short, because the path of a Unix socket holds 107 bytes;
 * derived from the data directory, so that two daemons do not meet and a restarted one finds what it left.
 */
export function runDirectoryOf(data: string, { env, uid }: RunDirectoryFacts): string {
  const name = daemonName(data);
  const runtime = env["XDG_RUNTIME_DIR"];
  if (uid === 0) return path.join("/run/larder", name);
  if (runtime !== undefined && path.isAbsolute(runtime)) return path.join(runtime, "larder", name);
  return path.join(`/tmp/larder-${uid}`, name);
}

/** What tells the things of a daemon with this `LARDER_DATA` from those of others. */
export function daemonName(data: string): string {
  return createHash("sha256").update(data).digest("hex").slice(0, 8);
}

/** The longest name of a socket that anybody puts into a directory of a sandbox there. */
const socketNameBytesMax = 48;
const socketPathBytesMax = 107;

/**
 * Makes the directory, for this user alone. Throws `denied` when somebody else has made it, `invalid` when its path
 * is too long.
 */
export async function makeRunDirectory(directory: string, uid: number): Promise<void> {
  if (Buffer.byteLength(directory) + socketNameBytesMax > socketPathBytesMax) {
    throw new Failure(
      "invalid",
      `${directory} is too long for sockets: set XDG_RUNTIME_DIR to a shorter path`,
    );
  }
  for (const part of [path.dirname(directory), directory]) {
    await mkdir(part, { recursive: true, mode: 0o700 });
    const { uid: owner } = await lstat(part);
    if (owner !== uid) throw new Failure("denied", `${part} belongs to user ${owner}, not to ${uid}`);
    // Users of virtual machines pass through to the one directory each of them owns; they cannot list anything.
    await chmod(part, uid === 0 ? 0o711 : 0o700);
  }
}
