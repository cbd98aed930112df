import type { Kysely, Selectable, Transaction } from "kysely";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { randomId } from "../base/random-id.ts";
import type { Random } from "../base/random.ts";
import type { MachineShape } from "../build/manifest.ts";
import type { Tables, TemplatesTable } from "./schema.ts";
import { defaultTag } from "./template-records.ts";

/** A build of a sandbox that sandboxes can be started from by a name. */
export interface SnapshotRecord {
  readonly templateId: string;
  /** Undefined when nobody chose one: then the id of the template stands for it. */
  readonly name?: string;
  readonly tag: string;
  readonly createdAt: number;
}

export interface NewSnapshot {
  /** `name` or `name:tag`. */
  readonly name?: string;
  readonly sandboxId: string;
  readonly build: {
    readonly id: string;
    readonly shape?: MachineShape;
    readonly vcpus: number;
    readonly memoryBytes: number;
    readonly diskBytes: number;
  };
}

export interface SnapshotFilter {
  readonly sandboxId?: string;
  readonly name?: string;
  readonly limit: number;
  /** What the former page gave as `next`. */
  readonly after?: string;
}

const namePattern = /^([A-Za-z0-9][A-Za-z0-9._/-]{0,127})(?::([A-Za-z0-9._-]{1,128}))?$/;

/** Named snapshots: templates whose builds were made of sandboxes. */
export class SnapshotRecords {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(db: Kysely<Tables>, clock: Clock, random: Random) {
    this.#db = db;
    this.#clock = clock;
    this.#random = random;
  }

  /** Throws what `save` would throw for this name. */
  async checkName(wanted: string): Promise<void> {
    const { name } = parseName(wanted);
    if ((await called(this.#db, name))?.snapshotOf === null) throw takenByTemplate(name);
  }

  /** A name that is taken by a snapshot moves to the new build; throws `conflict` when a template proper has it. */
  async save({ name: wanted, sandboxId, build }: NewSnapshot): Promise<SnapshotRecord> {
    const { name, tag } = wanted === undefined ? { name: undefined, tag: defaultTag } : parseName(wanted);
    return await this.#db.transaction().execute(async (db) => {
      const now = this.#clock.now();
      const templateId = await this.#templateFor(db, name, sandboxId);
      const { shape, id, ...sizes } = build;
      const known = await db.selectFrom("builds").select("id").where("id", "=", id).executeTakeFirst();
      if (known !== undefined)
        throw new Failure("conflict", `sandbox '${sandboxId}' has not changed since its last snapshot`);
      const row = {
        id,
        diskBuild: id,
        templateId,
        recipe: "snapshot",
        coldBoot: 0,
        ...sizes,
        createdAt: now,
      };
      const shapeText = shape === undefined ? null : JSON.stringify(shape);
      await db
        .insertInto("builds")
        .values({ ...row, shape: shapeText })
        .execute();
      await db
        .insertInto("templateTags")
        .values({ templateId, tag, diskBuild: id, createdAt: now })
        .onConflict((taken) =>
          taken.columns(["templateId", "tag"]).doUpdateSet({ diskBuild: id, createdAt: now }),
        )
        .execute();
      await forgetUntagged(db, templateId);
      return { templateId, ...(name === undefined ? {} : { name }), tag, createdAt: now };
    });
  }

  /** The newest first. */
  async page({
    sandboxId,
    name,
    limit,
    after,
  }: SnapshotFilter): Promise<{ snapshots: SnapshotRecord[]; next?: string }> {
    let query = this.#db
      .selectFrom("templateTags as tags")
      .innerJoin("templates", "templates.id", "tags.templateId")
      .select([
        "templates.id as templateId",
        "templates.name",
        "templates.named",
        "tags.tag",
        "tags.createdAt",
      ])
      .where("templates.snapshotOf", "is not", null);
    if (sandboxId !== undefined) query = query.where("templates.snapshotOf", "=", sandboxId);
    if (name !== undefined) {
      const [, bare = name, tag] = namePattern.exec(name) ?? [];
      query = query.where((is) => is.or([is("templates.name", "=", bare), is("templates.id", "=", bare)]));
      if (tag !== undefined) query = query.where("tags.tag", "=", tag);
    }
    const place = after === undefined ? undefined : decodePlace(after);
    if (place !== undefined) {
      query = query.where((is) =>
        is.or([
          is("tags.createdAt", "<", place.createdAt),
          is.and([is("tags.createdAt", "=", place.createdAt), is("templates.id", ">", place.templateId)]),
          is.and([
            is("tags.createdAt", "=", place.createdAt),
            is("templates.id", "=", place.templateId),
            is("tags.tag", ">", place.tag),
          ]),
        ]),
      );
    }
    const ordered = query.orderBy("tags.createdAt", "desc").orderBy("templates.id").orderBy("tags.tag");
    const rows = await ordered.limit(limit + 1).execute();
    const snapshots = rows.slice(0, limit).map(({ named, name: own, ...row }) => ({
      ...row,
      ...(named === 1 ? { name: own } : {}),
    }));
    const last = snapshots.at(-1);
    return rows.length > limit && last !== undefined ? { snapshots, next: encodePlace(last) } : { snapshots };
  }

  /** `reference`: an id or name, with a tag or, for all tags, without. False when there is no such snapshot. */
  async remove(reference: string): Promise<boolean> {
    const [, bare, tag] = namePattern.exec(reference) ?? [];
    if (bare === undefined) return false;
    return await this.#db.transaction().execute(async (db) => {
      const template = await snapshotCalled(db, bare);
      if (template === undefined) return false;
      let removal = db.deleteFrom("templateTags").where("templateId", "=", template.id);
      if (tag !== undefined) removal = removal.where("tag", "=", tag);
      const { numDeletedRows } = await removal.executeTakeFirst();
      await forgetUntagged(db, template.id);
      const left = await db
        .selectFrom("templateTags")
        .select("tag")
        .where("templateId", "=", template.id)
        .execute();
      if (left.length === 0) await db.deleteFrom("templates").where("id", "=", template.id).execute();
      return numDeletedRows > 0n;
    });
  }

  async #templateFor(db: Transaction<Tables>, name: string | undefined, sandboxId: string): Promise<string> {
    const now = this.#clock.now();
    const known = name === undefined ? undefined : await called(db, name);
    if (name !== undefined && known?.snapshotOf === null) throw takenByTemplate(name);
    if (known !== undefined) {
      await db
        .updateTable("templates")
        .set({ updatedAt: now, snapshotOf: sandboxId })
        .where("id", "=", known.id)
        .execute();
      return known.id;
    }
    const id = randomId(this.#random, 20);
    const named = { name: name ?? id, named: Number(name !== undefined) };
    const row = { id, ...named, createdAt: now, updatedAt: now, snapshotOf: sandboxId };
    await db.insertInto("templates").values(row).execute();
    return id;
  }
}

function parseName(wanted: string): { readonly name: string; readonly tag: string } {
  const [, name, tag = defaultTag] = namePattern.exec(wanted) ?? [];
  if (name === undefined) throw new Failure("invalid", `'${wanted}' is no name of a snapshot`);
  return { name, tag };
}

function takenByTemplate(name: string): Failure {
  return new Failure("conflict", `the name '${name}' belongs to a template`);
}

async function called(db: Kysely<Tables>, name: string): Promise<Selectable<TemplatesTable> | undefined> {
  const all = db.selectFrom("templates").selectAll();
  return await all.where((is) => is.or([is("name", "=", name), is("id", "=", name)])).executeTakeFirst();
}

async function snapshotCalled(
  db: Kysely<Tables>,
  name: string,
): Promise<Selectable<TemplatesTable> | undefined> {
  const template = await called(db, name);
  return template?.snapshotOf === null ? undefined : template;
}

/** Builds that no tag leads to any more: nobody can start from them. */
async function forgetUntagged(db: Kysely<Tables>, templateId: string): Promise<void> {
  const tagged = db.selectFrom("templateTags").select("diskBuild").where("templateId", "=", templateId);
  await db.deleteFrom("builds").where("templateId", "=", templateId).where("id", "not in", tagged).execute();
}

function encodePlace({ createdAt, templateId, tag }: SnapshotRecord): string {
  return Buffer.from(JSON.stringify([1, createdAt, templateId, tag])).toString("base64url");
}

/** Throws `invalid` when this store made no such token. */
function decodePlace(token: string): Pick<SnapshotRecord, "createdAt" | "templateId" | "tag"> {
  const text = Buffer.from(token, "base64url").toString();
  const [, createdAt, templateId, tag] =
    /^\[1,(\d{1,15}),"([a-z0-9]+)","([A-Za-z0-9._-]+)"\]$/.exec(text) ?? [];
  if (createdAt === undefined || templateId === undefined || tag === undefined)
    throw new Failure("invalid", "nextToken is none that this server gave");
  return { createdAt: Number(createdAt), templateId, tag };
}
