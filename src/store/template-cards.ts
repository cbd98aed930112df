import type { Kysely, Transaction } from "kysely";
import type { MachineShape } from "../build/manifest.ts";
import type { NamedTemplate } from "../build/template-card.ts";
import type { Tables } from "./schema.ts";

/** All names at once, with what they lead to: what the bucket has a copy of, and what can be taken from there. */
export class TemplateCards {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  /** Templates and snapshots, by name; builds that no tag leads to are left out. */
  async all(): Promise<NamedTemplate[]> {
    const [templates, tags, builds] = await this.#db
      .transaction()
      .execute(async (db) => [
        await db.selectFrom("templates").selectAll().orderBy("name").execute(),
        await db.selectFrom("templateTags").selectAll().orderBy("tag").execute(),
        await db.selectFrom("builds").selectAll().orderBy("createdAt").orderBy("id").execute(),
      ]);
    return templates.map(({ snapshotOf, named, ...template }) => {
      const own = tags.filter(({ templateId }) => templateId === template.id);
      const tagged = new Set(own.map(({ diskBuild }) => diskBuild));
      const led = builds.filter(({ diskBuild }) => tagged.has(diskBuild));
      const isDisk = ({ id, diskBuild }: { id: string; diskBuild: string }) => id === diskBuild;
      const ordered = [...led.filter(isDisk), ...led.filter((build) => !isDisk(build))];
      return {
        template: {
          ...template,
          ...(snapshotOf === null ? {} : { snapshotOf }),
          ...(named === null ? {} : { named: named === 1 }),
        },
        tags: own.map(({ tag, diskBuild, createdAt }) => ({ tag, diskBuild, createdAt })),
        builds: ordered.map(({ templateId: _of, shape, coldBoot, ...row }) => ({
          ...row,
          coldBoot: coldBoot === 1,
          ...(shape === null ? {} : { shape: JSON.parse(shape) as MachineShape }),
        })),
      };
    });
  }

  /** Builds that a tag, a sandbox, or a build that was made of a sandbox needs. */
  async needed(): Promise<Set<string>> {
    const [tagged, sandboxes, children] = await Promise.all([
      this.#db
        .selectFrom("builds")
        .select("id")
        .where("diskBuild", "in", this.#db.selectFrom("templateTags").select("diskBuild"))
        .execute(),
      this.#db.selectFrom("sandboxes").select("build as id").distinct().execute(),
      this.#db.selectFrom("childBuilds").select(["id", "ancestors"]).execute(),
    ]);
    const needed = new Set([...tagged, ...sandboxes, ...children].map(({ id }) => id));
    for (const { ancestors } of children)
      for (const ancestor of JSON.parse(ancestors) as string[]) needed.add(ancestor);
    return needed;
  }

  /** True when nothing would be lost with this store. */
  async isEmpty(): Promise<boolean> {
    for (const table of ["templates", "sandboxes", "childBuilds"] as const) {
      const row = await this.#db.selectFrom(table).select("id").limit(1).executeTakeFirst();
      if (row !== undefined) return false;
    }
    return true;
  }

  /** Takes over a name with all that it leads to; false when the store knows the name, or its id, already. */
  async insert({ template, tags, builds }: NamedTemplate): Promise<boolean> {
    return await this.#db.transaction().execute(async (db) => {
      const { id, name, snapshotOf, named, ...times } = template;
      const known = await db
        .selectFrom("templates")
        .select("id")
        .where((is) => is.or([is("id", "=", id), is("name", "=", name)]))
        .executeTakeFirst();
      if (known !== undefined) return false;
      const kind = {
        snapshotOf: snapshotOf ?? null,
        named: named === undefined ? null : Number(named),
      };
      await db
        .insertInto("templates")
        .values({ id, name, ...times, ...kind })
        .execute();
      for (const build of builds) await insertBuild(db, id, build);
      for (const tag of tags)
        await db
          .insertInto("templateTags")
          .values({ templateId: id, ...tag })
          .execute();
      return true;
    });
  }

  /** Forgets builds that no tag leads to; silent about others. */
  async forget(builds: readonly string[]): Promise<void> {
    for (const build of builds)
      await this.#db
        .deleteFrom("builds")
        .where("id", "=", build)
        .where("diskBuild", "not in", this.#db.selectFrom("templateTags").select("diskBuild"))
        .execute();
  }
}

/** A build that another name has brought already belongs to that one. */
async function insertBuild(
  db: Transaction<Tables>,
  templateId: string,
  { shape, coldBoot, ...build }: NamedTemplate["builds"][number],
): Promise<void> {
  const columns = { coldBoot: Number(coldBoot), shape: shape === undefined ? null : JSON.stringify(shape) };
  await db
    .insertInto("builds")
    .values({ ...build, ...columns, templateId })
    .onConflict((known) => known.column("id").doNothing())
    .execute();
}
