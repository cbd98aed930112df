import type { Insertable, Kysely, Selectable, Updateable } from "kysely";
import type { SandboxesTable, Tables } from "./schema.ts";
import { type RecordFilter, selectPage } from "./sandbox-page.ts";
import { encodePageToken } from "./page-token.ts";

/** What must be known of a sandbox to list it, and to find what is left of it when its daemon was killed. */
export interface SandboxRecord {
  readonly id: string;
  /** `pausing` and `paused`: it sleeps, or is being put to sleep. */
  readonly state: "starting" | "running" | "pausing" | "paused" | "stopping";
  readonly templateId: string;
  readonly templateName: string;
  readonly build: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly envs: Readonly<Record<string, string>>;
  readonly secure: boolean;
  readonly allowInternet: boolean;
  readonly ingress: IngressSettings;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endAt: number;
  /** Its overlay and logs. */
  readonly directory: string;
  readonly socketDirectory: string;
  /** The user its machine runs as, where the daemon is root. */
  readonly uid?: number;
  /** The machine's process: a pid alone might belong to another one by now. */
  readonly process?: { readonly pid: number; readonly startTime: string };
  readonly channelSecret?: Buffer;
  /** How long a life its client asked for. */
  readonly timeoutMs: number;
  readonly lifecycle: Lifecycle;
  /** Only while it sleeps. */
  readonly paused?: PausedState;
}

/** What happens at the end of its time, and to traffic while it sleeps. */
export interface Lifecycle {
  readonly onTimeout: "kill" | "pause";
  /** Whether a pause at the end of its time keeps the memory. */
  readonly keepMemory: boolean;
  readonly autoResume: boolean;
}

export const defaultLifecycle: Lifecycle = { onTimeout: "kill", keepMemory: true, autoResume: false };

/** What a sandbox that sleeps is woken with. */
export interface PausedState {
  /** What was left of its time. */
  readonly remainingMs: number;
  /** Its build has memory; else it is booted from its disk. */
  readonly memory: boolean;
}

/** Who may come to the ports of a sandbox from outside, and how that looks to its servers. */
export interface IngressSettings {
  /** Everybody may; else only who shows the token. */
  readonly public: boolean;
  /** What servers see as their host; `${PORT}` in it stands for the port. */
  readonly maskHost?: string;
  /** Ports at which the guest speaks TLS. */
  readonly httpsPorts: readonly number[];
}

export const openIngress: IngressSettings = { public: true, httpsPorts: [] };

/** What may change of a record. */
export type SandboxChange = Partial<
  Pick<SandboxRecord, "state" | "startedAt" | "endAt" | "process" | "channelSecret" | "build" | "uid">
> & {
  /** Null: it sleeps no more. */
  readonly paused?: PausedState | null;
  readonly allowInternet?: boolean;
};

export interface RecordPage {
  readonly records: readonly SandboxRecord[];
  /** Where the next page begins; undefined when this is the last one. */
  readonly next?: string;
}

export class SandboxRecords {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  /** Throws `conflict` when there is one of this id. */
  async insert(record: SandboxRecord): Promise<void> {
    const pairs = Object.entries(record.metadata);
    await this.#db.transaction().execute(async (db) => {
      await db.insertInto("sandboxes").values(toRow(record)).execute();
      if (pairs.length === 0) return;
      const rows = pairs.map(([name, value]) => ({ sandboxId: record.id, name, value }));
      await db.insertInto("sandboxMetadata").values(rows).execute();
    });
  }

  /** Changes nothing when there is no such record. */
  async update(id: string, change: SandboxChange): Promise<void> {
    const { process, channelSecret, paused, allowInternet, ...columns } = change;
    const changes: Updateable<SandboxesTable> = {
      ...columns,
      ...(allowInternet === undefined ? {} : { allowInternet: Number(allowInternet) }),
      ...(paused === undefined ? {} : { paused: paused === null ? null : JSON.stringify(paused) }),
      ...(process === undefined ? {} : { pid: process.pid, processStart: process.startTime }),
      ...(channelSecret === undefined ? {} : { channelSecret: channelSecret.toString("hex") }),
    };
    await this.#db.updateTable("sandboxes").set(changes).where("id", "=", id).execute();
  }

  async get(id: string): Promise<SandboxRecord | undefined> {
    const row = await this.#db.selectFrom("sandboxes").selectAll().where("id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : toRecord(row);
  }

  async all(): Promise<SandboxRecord[]> {
    const rows = await this.#db.selectFrom("sandboxes").selectAll().orderBy("id").execute();
    return rows.map(toRecord);
  }

  /** Throws `invalid` for a token that is none, or of another order. */
  async page(filter: RecordFilter): Promise<RecordPage> {
    if (filter.states.length === 0) return { records: [] };
    // One more than asked for tells whether there is a next page.
    const rows = await selectPage(this.#db, { ...filter, limit: filter.limit + 1 }).execute();
    const records = rows.slice(0, filter.limit).map(toRecord);
    const last = records.at(-1);
    if (last === undefined || rows.length <= filter.limit) return { records };
    return { records, next: encodePageToken({ order: filter.order, ...last }) };
  }

  /** Silent when there is none. */
  async delete(id: string): Promise<void> {
    await this.#db.deleteFrom("sandboxes").where("id", "=", id).execute();
  }
}

function toRow(whole: SandboxRecord): Insertable<SandboxesTable> {
  const { process, channelSecret, uid, lifecycle, paused, ...record } = whole;
  return {
    ...record,
    lifecycle: JSON.stringify(lifecycle),
    paused: paused === undefined ? null : JSON.stringify(paused),
    metadata: JSON.stringify(record.metadata),
    envs: JSON.stringify(record.envs),
    secure: Number(record.secure),
    allowInternet: Number(record.allowInternet),
    ingress: JSON.stringify(record.ingress),
    uid: uid ?? null,
    pid: process?.pid ?? null,
    processStart: process?.startTime ?? null,
    channelSecret: channelSecret?.toString("hex") ?? null,
  };
}

function toRecord(row: Selectable<SandboxesTable>): SandboxRecord {
  const { pid, processStart, channelSecret, uid, lifecycle, timeoutMs, paused, ...columns } = row;
  return {
    ...columns,
    timeoutMs: timeoutMs ?? row.endAt - row.startedAt,
    lifecycle: lifecycle === null ? defaultLifecycle : (JSON.parse(lifecycle) as Lifecycle),
    ...(paused === null ? {} : { paused: JSON.parse(paused) as PausedState }),
    state: row.state as SandboxRecord["state"],
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    envs: JSON.parse(row.envs) as Record<string, string>,
    secure: row.secure === 1,
    allowInternet: row.allowInternet === 1,
    ingress: row.ingress === null ? openIngress : (JSON.parse(row.ingress) as IngressSettings),
    ...(uid === null ? {} : { uid }),
    ...(pid === null || processStart === null ? {} : { process: { pid, startTime: processStart } }),
    ...(channelSecret === null ? {} : { channelSecret: Buffer.from(channelSecret, "hex") }),
  };
}
