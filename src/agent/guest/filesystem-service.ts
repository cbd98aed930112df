import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { copyFile, cp, lstat, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Failure } from "../../base/failure.ts";
import type { EntryInfo, Filesystem } from "../protocol/generated/filesystem_pb.js";
import { makeDirectories, walk } from "./directories.ts";
import { entryOf } from "./entries.ts";
import { resolvePath } from "./paths.ts";
import { unary } from "./rpc-errors.ts";
import type { Settings } from "./settings.ts";
import type { User, Users } from "./users.ts";
import { userOf } from "./who.ts";

export interface FilesystemServiceContext {
  readonly users: Users;
  readonly settings: Settings;
}

/** A path as somebody means it. */
interface Meant {
  readonly path: string;
  readonly user: User;
}

/** The RPCs of `filesystem.Filesystem`. Watching is not served. */
export function filesystemService(context: FilesystemServiceContext): ServiceImpl<typeof Filesystem> {
  const { users, settings } = context;
  const meant = (path: string, { requestHeader }: HandlerContext): Meant => {
    const user = userOf(requestHeader, users, settings);
    return { user, path: resolvePath(path, { home: user.home, defaultWorkdir: settings.defaultWorkdir }) };
  };
  return {
    stat: unary(async ({ path }, rpc: HandlerContext) => ({
      entry: await existing(meant(path, rpc).path, users),
    })),
    makeDir: unary(async ({ path }, rpc: HandlerContext) => ({
      entry: await makeDir(meant(path, rpc), users),
    })),
    move: unary(async ({ source, destination }, rpc: HandlerContext) => ({
      entry: await move(meant(source, rpc).path, meant(destination, rpc), users),
    })),
    listDir: unary(async ({ path, depth }, rpc: HandlerContext) => ({
      entries: await list(meant(path, rpc).path, depth === 0 ? 1 : depth, users),
    })),
    remove: unary(async ({ path }, rpc: HandlerContext) => {
      await rm(meant(path, rpc).path, { recursive: true, force: true });
      return {};
    }),
    // oxlint-disable-next-line require-yield -- it refuses before there is anything to yield
    watchDir: async function* () {
      throw noWatching();
    },
    createWatcher: unary(() => Promise.reject(noWatching())),
    getWatcherEvents: unary(() => Promise.reject(noWatching())),
    removeWatcher: unary(() => Promise.reject(noWatching())),
  };
}

async function existing(path: string, users: Users): Promise<EntryInfo> {
  return entryOf(path, users).catch((error: unknown) => {
    throw named(error, path);
  });
}

async function makeDir({ path, user }: Meant, users: Users): Promise<EntryInfo> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) throw new Failure("conflict", `directory already exists: ${path}`);
  await makeDirectories(path, user);
  return entryOf(path, users);
}

async function move(source: string, { path, user }: Meant, users: Users): Promise<EntryInfo> {
  await lstat(source).catch((error: unknown) => {
    throw named(error, source);
  });
  await makeDirectories(dirname(path), user);
  try {
    await rename(source, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw named(error, source);
    await moveAcross(source, path);
  }
  return entryOf(path, users);
}

/** To another file system, where a rename cannot lead. */
async function moveAcross(source: string, destination: string): Promise<void> {
  const directory = (await lstat(source)).isDirectory();
  if (directory) await cp(source, destination, { recursive: true, preserveTimestamps: true });
  else await copyFile(source, destination);
  await rm(source, { recursive: true });
}

async function list(path: string, depth: number, users: Users): Promise<EntryInfo[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw named(error, path);
  });
  if (!found.isDirectory()) throw new Failure("invalid", `path is not a directory: ${path}`);
  const entries: EntryInfo[] = [];
  for (const each of await walk(path, depth)) {
    const entry = await entryOf(each, users).catch((error: unknown) => {
      if (Failure.from(error).code === "not_found") return undefined; // gone since it was listed
      throw error;
    });
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

function named(error: unknown, path: string): Failure {
  const { code, message } = Failure.from(error);
  return new Failure(code, code === "not_found" ? `path not found: ${path}` : message, { cause: error });
}

function noWatching(): ConnectError {
  return new ConnectError("watching files is not supported yet", Code.Unimplemented);
}
