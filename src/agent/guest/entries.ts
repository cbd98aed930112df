import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { lstatSync, readlinkSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { type EntryInfo, EntryInfoSchema, FileType } from "../protocol/generated/filesystem_pb.js";
import type { Metadata } from "./attributes.ts";
import type { Users } from "./users.ts";

export interface EntryContext {
  readonly users: Users;
  readonly metadata: Metadata;
}

const permissionBits = 0o777;

/**
 * What a client is told of the file at `path`. A link that leads somewhere is shown with the type and mode of what it
 * leads to, and the real path of that; one that leads nowhere as a link. Throws ENOENT when there is nothing.
 * Synchronous, because a hop to another thread costs more than the few system calls made here.
 */
export function entryOf(path: string, { users, metadata }: EntryContext): EntryInfo {
  const own = lstatSync(path);
  const target = own.isSymbolicLink() ? targetOf(path) : undefined;
  const shown = target?.stats ?? own;
  return create(EntryInfoSchema, {
    name: basename(path),
    type: typeOf(shown),
    path,
    size: BigInt(own.size),
    mode: shown.mode & permissionBits,
    permissions: permissionsOf(own),
    owner: users.userName(own.uid),
    group: users.groupName(own.gid),
    modifiedTime: timestampFromMs(Math.trunc(own.mtimeMs)),
    metadata: metadata.read(path),
    ...(target === undefined ? {} : { symlinkTarget: target.path }),
  });
}

function targetOf(path: string): { path: string; stats?: Stats } {
  try {
    return { path: realpathSync(path), stats: statSync(path) };
  } catch {
    return { path: resolve(dirname(path), readlinkSync(path)) };
  }
}

function typeOf(stats: Stats): FileType {
  if (stats.isFile()) return FileType.FILE;
  if (stats.isDirectory()) return FileType.DIRECTORY;
  return stats.isSymbolicLink() ? FileType.SYMLINK : FileType.UNSPECIFIED;
}

/** Letters for what a file is, in this order: the marks that E2B's agent, a Go program, writes. */
const marks: readonly (readonly [(stats: Stats) => boolean, string])[] = [
  [(stats) => stats.isDirectory(), "d"],
  [(stats) => stats.isSymbolicLink(), "L"],
  [(stats) => stats.isBlockDevice() || stats.isCharacterDevice(), "D"],
  [(stats) => stats.isFIFO(), "p"],
  [(stats) => stats.isSocket(), "S"],
  [(stats) => (stats.mode & 0o4000) !== 0, "u"],
  [(stats) => (stats.mode & 0o2000) !== 0, "g"],
  [(stats) => stats.isCharacterDevice(), "c"],
  [(stats) => (stats.mode & 0o1000) !== 0, "t"],
];

function permissionsOf(stats: Stats): string {
  const what = marks.filter(([is]) => is(stats)).map(([, mark]) => mark);
  const bits = Array.from("rwxrwxrwx", (letter, i) => ((stats.mode & (0o400 >> i)) === 0 ? "-" : letter));
  return `${what.join("") || "-"}${bits.join("")}`;
}
