import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { statSync } from "node:fs";
import { cp, lstat, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Failure } from "../../base/failure.ts";
import type { EntryInfo, Filesystem } from "../protocol/generated/filesystem_pb.js";
import { makeDirectories, walk } from "./directories.ts";
import { type EntryContext, entryOf } from "./entries.ts";
import { fileFailure } from "./file-failure.ts";
import { resolvePath } from "./paths.ts";
import { unary } from "./rpc-errors.ts";
import type { Settings } from "./settings.ts";
import type { User } from "./users.ts";
import { type WatchServiceContext, watchService } from "./watch-service.ts";
import { userOf } from "./who.ts";

export interface FilesystemServiceContext extends WatchServiceContext {
  readonly settings: Settings;
}

/** A path as somebody means it. */
interface Meant {
  readonly path: string;
  readonly user: User;
}

/** So many entries are looked at before others get their turn. */
const entriesAtOnce = 64;

/** The RPCs of `filesystem.Filesystem`. */
export function filesystemService(context: FilesystemServiceContext): ServiceImpl<typeof Filesystem> {
  const { users, settings } = context;
  const meant = (path: string, { requestHeader }: HandlerContext): Meant => {
    const user = userOf(requestHeader, users, settings);
    return { user, path: resolvePath(path, { home: user.home, defaultWorkdir: settings.defaultWorkdir }) };
  };
  return {
    stat: unary(async ({ path }, rpc: HandlerContext) => ({
      entry: await about(meant(path, rpc).path, async (path) => entryOf(path, context)),
    })),
    makeDir: unary(async ({ path }, rpc: HandlerContext) => {
      const { path: directory, user } = meant(path, rpc);
      return { entry: await about(directory, async () => makeDir(directory, user, context)) };
    }),
    move: unary(async ({ source, destination }, rpc: HandlerContext) => {
      const to = meant(destination, rpc);
      return { entry: await about(meant(source, rpc).path, async (from) => await move(from, to, context)) };
    }),
    listDir: unary(async ({ path, depth }, rpc: HandlerContext) => ({
      entries: await about(meant(path, rpc).path, async (path) => await list(path, depth || 1, context)),
    })),
    remove: unary(async ({ path }, rpc: HandlerContext) => {
      await about(meant(path, rpc).path, async (path) => await rm(path, { recursive: true, force: true }));
      return {};
    }),
    ...watchService(context, (path, rpc) => meant(path, rpc).path),
  };
}

/** What goes wrong meanwhile is told as something about `path`. */
async function about<T>(path: string, action: (path: string) => Promise<T>): Promise<T> {
  try {
    return await action(path);
  } catch (error) {
    throw fileFailure(error, path);
  }
}

function makeDir(path: string, user: User, context: EntryContext): EntryInfo {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) throw new Failure("conflict", `directory already exists: ${path}`);
  makeDirectories(path, user);
  return entryOf(path, context);
}

async function move(source: string, { path, user }: Meant, context: EntryContext): Promise<EntryInfo> {
  await lstat(source);
  makeDirectories(dirname(path), user);
  try {
    await rename(source, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    // To another file system, where a rename cannot lead.
    await cp(source, path, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    await rm(source, { recursive: true });
  }
  return entryOf(path, context);
}

async function list(path: string, depth: number, context: EntryContext): Promise<EntryInfo[]> {
  if (!statSync(path).isDirectory()) throw new Failure("invalid", `path is not a directory: ${path}`);
  const entries: EntryInfo[] = [];
  const paths = await walk(path, depth);
  for (const [i, each] of paths.entries()) {
    if (i % entriesAtOnce === entriesAtOnce - 1) await new Promise((resolve) => setImmediate(resolve));
    try {
      entries.push(entryOf(each, context));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // Else it went since it was listed.
    }
  }
  return entries;
}
