import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Stats } from "node:fs";
import { lstat, realpath, stat } from "node:fs/promises";
import { basename } from "node:path";
import { type EntryInfo, EntryInfoSchema, FileType } from "../protocol/generated/filesystem_pb.js";
import type { Users } from "./users.ts";

const permissionBits = 0o7777;

/**
 * What a client is told of the file at `path`. A link that leads somewhere is shown with the type and mode of what it
 * leads to, and the real path of that; one that leads nowhere as a link. Throws ENOENT when there is nothing.
 */
export async function entryOf(path: string, users: Users): Promise<EntryInfo> {
  const own = await lstat(path);
  const target = own.isSymbolicLink() ? await targetOf(path) : undefined;
  const shown = target?.stats ?? own;
  return create(EntryInfoSchema, {
    name: basename(path),
    type: typeOf(shown),
    path,
    size: BigInt(own.size),
    mode: shown.mode & permissionBits,
    permissions: permissionsOf(own, shown),
    owner: users.userName(own.uid),
    group: users.groupName(own.gid),
    modifiedTime: timestampFromMs(own.mtimeMs),
    ...(target === undefined ? {} : { symlinkTarget: target.path }),
  });
}

async function targetOf(path: string): Promise<{ path: string; stats: Stats } | undefined> {
  try {
    return { path: await realpath(path), stats: await stat(path) };
  } catch {
    return undefined;
  }
}

function typeOf(stats: Stats): FileType {
  if (stats.isFile()) return FileType.FILE;
  if (stats.isDirectory()) return FileType.DIRECTORY;
  return stats.isSymbolicLink() ? FileType.SYMLINK : FileType.UNSPECIFIED;
}

/** As `ls -l` writes them, with an `L` for a link. */
function permissionsOf(own: Stats, shown: Stats): string {
  const kind = own.isSymbolicLink() ? "L" : own.isDirectory() ? "d" : "-";
  const bits = [0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001];
  return kind + bits.map((bit, i) => ((shown.mode & bit) === 0 ? "-" : "rwx"[i % 3])).join("");
}
