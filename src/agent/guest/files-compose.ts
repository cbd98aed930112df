import { chownSync, constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StatusError } from "./answers.ts";
import { makeDirectories } from "./directories.ts";
import { fileFailure } from "./file-failure.ts";
import type { KernelRandom } from "./kernel-random.ts";
import type { User } from "./users.ts";

export interface Composition {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly user: User;
}

interface Composed {
  readonly path: string;
  readonly name: string;
  readonly type: "file";
}

const sourcesMax = 10_000;
const pieceBytes = 256 * 1024;

/**
 * Makes one file of several, in their order, and removes those. The new one takes its place when it is whole: what
 * goes wrong before that changes nothing.
 */
export async function compose(
  { sources, destination, user }: Composition,
  random: KernelRandom,
): Promise<Composed> {
  if (sources.length === 0) throw new StatusError(400, "source_paths is empty");
  if (sources.length > sourcesMax) throw new StatusError(400, `more than ${sourcesMax} source_paths`);
  const name = basename(destination);
  const part = join(dirname(destination), `.${name.slice(0, 64)}.${random.bytes(8).toString("hex")}`);
  try {
    makeDirectories(dirname(destination), user);
    await concatenate(sources, part);
    chownSync(part, user.uid, user.gid);
    await rename(part, destination);
  } catch (error) {
    await rm(part, { force: true }).catch(() => "the first failure matters more");
    throw error instanceof StatusError ? error : fileFailure(error, destination);
  }
  for (const source of new Set(sources)) if (source !== destination) await rm(source, { force: true });
  return { path: destination, name, type: "file" };
}

async function concatenate(sources: readonly string[], part: string): Promise<void> {
  await using to = await open(part, "wx", 0o644);
  const piece = Buffer.allocUnsafe(pieceBytes);
  for (const source of sources) {
    await using from = await open(source, constants.O_RDONLY | constants.O_NONBLOCK).catch(
      (error: unknown) => {
        throw fileFailure(error, source);
      },
    );
    if (!(await from.stat()).isFile()) throw new StatusError(400, `path is not a regular file: ${source}`);
    for (;;) {
      const { bytesRead } = await from.read(piece, 0, pieceBytes, null);
      if (bytesRead === 0) break;
      for (let done = 0; done < bytesRead; ) {
        done += (await to.write(piece, done, bytesRead - done)).bytesWritten;
      }
    }
  }
}

/** What a client asks for, in the words of E2B's agent. */
export function readComposition(body: string): {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly username: string;
} {
  const asked = parse(body);
  const { source_paths: sources, destination, username = "" } = asked as Record<string, unknown>;
  const areSources =
    Array.isArray(sources) && sources.every((each) => typeof each === "string" && each !== "");
  if (!areSources) throw new StatusError(400, "source_paths is no list of paths");
  if (typeof destination !== "string" || destination === "")
    throw new StatusError(400, "destination is no path");
  if (typeof username !== "string") throw new StatusError(400, "username is no name");
  return { sources: sources as string[], destination, username };
}

function parse(body: string): object {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // told below
  }
  throw new StatusError(400, "the body is no JSON object");
}
