import type { Kysely } from "kysely";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Tables } from "./schema.ts";
import { defaultTag, type TemplateRecords } from "./template-records.ts";

export interface TagRecord {
  readonly tag: string;
  readonly diskBuild: string;
  readonly createdAt: number;
}

/** What clients do to the names of templates. Builds stay where they are: sandboxes may need them. */
export class TemplateTags {
  readonly #db: Kysely<Tables>;
  readonly #templates: TemplateRecords;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, templates: TemplateRecords, clock: Clock) {
    this.#db = db;
    this.#templates = templates;
    this.#clock = clock;
  }

  /** By name. Throws `not_found`. */
  async list(reference: string): Promise<TagRecord[]> {
    const templateId = await this.#idOf(reference);
    const tags = this.#db.selectFrom("templateTags").select(["tag", "diskBuild", "createdAt"]);
    return await tags.where("templateId", "=", templateId).orderBy("tag").execute();
  }

  /** Makes tags lead where `target` does; resolves with that build. Throws `not_found`. */
  async assign(target: string, tags: readonly string[]): Promise<string> {
    const found = await this.#templates.find(target);
    const diskBuild = found?.template.tags[found.tag];
    if (found === undefined || diskBuild === undefined) throw noSuchTemplate(target);
    const createdAt = this.#clock.now();
    const rows = [...new Set(tags)].map((tag) => ({
      templateId: found.template.id,
      tag,
      diskBuild,
      createdAt,
    }));
    await this.#db
      .insertInto("templateTags")
      .values(rows)
      .onConflict((conflict) => conflict.columns(["templateId", "tag"]).doUpdateSet({ diskBuild, createdAt }))
      .execute();
    return diskBuild;
  }

  /** Silent about tags that are not there. Throws `not_found` for a template that is none. */
  async take(reference: string, tags: readonly string[]): Promise<void> {
    if (tags.includes(defaultTag))
      throw new Failure("invalid", `the tag '${defaultTag}' stays: it is what a name without a tag means`);
    const templateId = await this.#idOf(reference);
    const gone = this.#db.deleteFrom("templateTags").where("templateId", "=", templateId);
    await gone.where("tag", "in", tags).execute();
  }

  /** Forgets a template with its tags and its list of builds. False when there is none. */
  async forgetTemplate(reference: string): Promise<boolean> {
    const templateId = await this.#idOf(reference).catch(() => undefined);
    if (templateId === undefined) return false;
    return await this.#db.transaction().execute(async (db) => {
      await db.deleteFrom("templateTags").where("templateId", "=", templateId).execute();
      const { numDeletedRows } = await db
        .deleteFrom("templates")
        .where("id", "=", templateId)
        .executeTakeFirst();
      return numDeletedRows > 0n;
    });
  }

  /** Also of a template that has no default tag any more. */
  async #idOf(reference: string): Promise<string> {
    const name = reference.replace(/:[^:]*$/, "");
    const row = await this.#db
      .selectFrom("templates")
      .select("id")
      .where((where) => where.or([where("id", "=", name), where("name", "=", name)]))
      .executeTakeFirst();
    if (row === undefined) throw noSuchTemplate(reference);
    return row.id;
  }
}

function noSuchTemplate(reference: string): Failure {
  return new Failure("not_found", `there is no template '${reference}'`);
}
