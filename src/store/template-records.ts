import type { Kysely, Selectable } from "kysely";
import type { Clock } from "../base/clock.ts";
import { randomId } from "../base/random-id.ts";
import type { Random } from "../base/random.ts";
import type { MachineShape } from "../build/manifest.ts";
import type { BuildsTable, Tables, TemplatesTable } from "./schema.ts";

/** The tag that a name without a tag means. */
export const defaultTag = "default";

export interface TemplateRecord {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Tag → disk build. */
  readonly tags: Readonly<Record<string, string>>;
}

export interface BuildRecord {
  readonly id: string;
  readonly templateId: string;
  /** The build whose disk this is the memory of; its own id if it is a disk build. */
  readonly diskBuild: string;
  /** Digest of everything it was made from: the same recipe needs no new build. */
  readonly recipe: string;
  /** What a host must be like to run its memory; undefined when it has none. */
  readonly shape?: MachineShape;
  /** Its memory did not restore on the host it was made on: boot it from its disk. */
  readonly coldBoot: boolean;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly createdAt: number;
}

/** A build that has been published, and the name it is to be found under. */
export interface PublishedTemplate {
  readonly name: string;
  /** `default` unless said. */
  readonly tag?: string;
  readonly build: Omit<BuildRecord, "templateId" | "createdAt">;
}

/** What a client's word for a template stands for right now. */
export interface FoundTemplate {
  readonly template: TemplateRecord;
  readonly tag: string;
  /** All builds with the disk that the tag points at, the newest first; the disk build is one of them. */
  readonly builds: readonly BuildRecord[];
}

/** Names and tags, the disk builds they point at, and the builds with memory made from those. */
export class TemplateRecords {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(db: Kysely<Tables>, clock: Clock, random: Random) {
    this.#db = db;
    this.#clock = clock;
    this.#random = random;
  }

  /** All templates proper; snapshots of sandboxes can be started from but are listed elsewhere. */
  async list(): Promise<TemplateRecord[]> {
    const templates = this.#db.selectFrom("templates").selectAll().where("snapshotOf", "is", null);
    const rows = await templates.orderBy("name").execute();
    return Promise.all(rows.map((row) => this.#withTags(row)));
  }

  /** `reference` is an id or a name, with or without `:tag`. */
  async find(reference: string): Promise<FoundTemplate | undefined> {
    const colon = reference.lastIndexOf(":");
    const nameOrId = colon < 0 ? reference : reference.slice(0, colon);
    const tag = colon < 0 ? defaultTag : reference.slice(colon + 1);
    const row =
      (await this.#db.selectFrom("templates").selectAll().where("id", "=", nameOrId).executeTakeFirst()) ??
      (await this.#db.selectFrom("templates").selectAll().where("name", "=", nameOrId).executeTakeFirst());
    if (row === undefined) return undefined;
    const template = await this.#withTags(row);
    const diskBuild = template.tags[tag];
    if (diskBuild === undefined) return undefined;
    return { template, tag, builds: await this.buildsOf(diskBuild) };
  }

  /** All builds with this disk, the newest first. */
  async buildsOf(diskBuild: string): Promise<BuildRecord[]> {
    const rows = await this.#db
      .selectFrom("builds")
      .selectAll()
      .where("diskBuild", "=", diskBuild)
      .orderBy("createdAt", "desc")
      .orderBy("id")
      .execute();
    return rows.map(toBuild);
  }

  /**
   * Remembers a build and points the tag at its disk, both or neither; the template is made if the name is new.
   * Resolves to the template's id.
   */
  async publish({ name, tag = defaultTag, build }: PublishedTemplate): Promise<string> {
    const now = this.#clock.now();
    return this.#db.transaction().execute(async (db) => {
      const { id: templateId } = await db
        .insertInto("templates")
        .values({ id: randomId(this.#random, 20), name, createdAt: now, updatedAt: now })
        .onConflict((conflict) => conflict.column("name").doUpdateSet({ updatedAt: now }))
        .returning("id")
        .executeTakeFirstOrThrow();
      const { shape, coldBoot, ...columns } = build;
      await db
        .insertInto("builds")
        .values({
          ...columns,
          templateId,
          shape: shape === undefined ? null : JSON.stringify(shape),
          coldBoot: Number(coldBoot),
          createdAt: now,
        })
        .execute();
      await db
        .insertInto("templateTags")
        .values({ templateId, tag, diskBuild: build.diskBuild, createdAt: now })
        .onConflict((conflict) =>
          conflict.columns(["templateId", "tag"]).doUpdateSet({ diskBuild: build.diskBuild, createdAt: now }),
        )
        .execute();
      return templateId;
    });
  }

  /** Says whether a build's memory may be restored on this host. */
  async setColdBoot(build: string, coldBoot: boolean): Promise<void> {
    await this.#db
      .updateTable("builds")
      .set({ coldBoot: Number(coldBoot) })
      .where("id", "=", build)
      .execute();
  }

  async #withTags({
    snapshotOf: _of,
    named: _named,
    ...row
  }: Selectable<TemplatesTable>): Promise<TemplateRecord> {
    const tags = await this.#db
      .selectFrom("templateTags")
      .select(["tag", "diskBuild"])
      .where("templateId", "=", row.id)
      .execute();
    return { ...row, tags: Object.fromEntries(tags.map(({ tag, diskBuild }) => [tag, diskBuild])) };
  }
}

function toBuild({ shape, coldBoot, ...row }: Selectable<BuildsTable>): BuildRecord {
  return {
    ...row,
    coldBoot: coldBoot === 1,
    ...(shape === null ? {} : { shape: JSON.parse(shape) as MachineShape }),
  };
}
