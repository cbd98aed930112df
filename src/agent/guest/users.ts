import { readFileSync, statSync } from "node:fs";
import type { Ids } from "./credentials.ts";

export interface User extends Ids {
  readonly name: string;
  readonly home: string;
}

interface Table<Row> {
  readonly version: string;
  readonly rows: readonly Row[];
}

interface GroupRow {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

type UserRow = Omit<User, "groups">;

/** The users and groups of the guest, from its two files; read again whenever those change. */
export class Users {
  readonly #directory: string;
  #users: Table<UserRow> | undefined;
  #groups: Table<GroupRow> | undefined;

  constructor(directory = "/etc") {
    this.#directory = directory;
  }

  /** Undefined when there is no such user. */
  byName(name: string): User | undefined {
    const row = this.#userRows().find((user) => user.name === name);
    if (row === undefined) return undefined;
    const groups = this.#groupRows().filter(({ members }) => members.includes(name));
    return { ...row, groups: [...new Set([row.gid, ...groups.map(({ gid }) => gid)])] };
  }

  /** The name of a uid, or the number itself. */
  userName(uid: number): string {
    return this.#userRows().find((user) => user.uid === uid)?.name ?? String(uid);
  }

  /** The name of a gid, or the number itself. */
  groupName(gid: number): string {
    return this.#groupRows().find((group) => group.gid === gid)?.name ?? String(gid);
  }

  #userRows(): readonly UserRow[] {
    this.#users = readTable(`${this.#directory}/passwd`, this.#users, ([name, , uid, gid, , home]) => {
      if (name === undefined || !isId(uid) || !isId(gid)) return undefined;
      return { name, uid: Number(uid), gid: Number(gid), home: home || "/" };
    });
    return this.#users.rows;
  }

  #groupRows(): readonly GroupRow[] {
    this.#groups = readTable(`${this.#directory}/group`, this.#groups, ([name, , gid, members]) => {
      if (name === undefined || !isId(gid)) return undefined;
      return { name, gid: Number(gid), members: (members ?? "").split(",") };
    });
    return this.#groups.rows;
  }
}

function isId(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,10}$/.test(text);
}

function readTable<Row>(
  path: string,
  known: Table<Row> | undefined,
  parse: (fields: string[]) => Row | undefined,
): Table<Row> {
  const { ino, size, mtimeMs } = statSync(path);
  const version = `${ino} ${size} ${mtimeMs}`;
  if (known?.version === version) return known;
  const rows = readFileSync(path, "utf8")
    .split("\n")
    .map((line) => parse(line.split(":")))
    .filter((row) => row !== undefined);
  return { version, rows };
}
