import type { Kysely } from "kysely";
import type { Clock } from "../base/clock.ts";
import type { MachineShape } from "../build/manifest.ts";
import type { Tables } from "./schema.ts";

/** A build that was made of a sandbox. */
export interface ChildBuildRecord {
  readonly id: string;
  /** All builds that it refers to. */
  readonly ancestors: readonly string[];
  /** What a host must be like to run its memory; undefined when it has none. */
  readonly shape?: MachineShape;
}

/** The builds that were made of sandboxes on this node, and which of them something still needs. */
export class ChildBuildRecords {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async insert({ id, ancestors, shape }: ChildBuildRecord): Promise<void> {
    const columns = {
      ancestors: JSON.stringify(ancestors),
      shape: shape === undefined ? null : JSON.stringify(shape),
    };
    await this.#db
      .insertInto("childBuilds")
      .values({ id, ...columns, createdAt: this.#clock.now() })
      .execute();
  }

  async get(id: string): Promise<ChildBuildRecord | undefined> {
    const row = await this.#db.selectFrom("childBuilds").selectAll().where("id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : toRecord(row);
  }

  async delete(id: string): Promise<void> {
    await this.#db.deleteFrom("childBuilds").where("id", "=", id).execute();
  }

  /** Those that no sandbox and no template starts from, and no needed one refers to. `held` are needed too. */
  async unneeded(held: Iterable<string>): Promise<string[]> {
    const [children, sandboxes, templates] = await Promise.all([
      this.#db.selectFrom("childBuilds").selectAll().execute(),
      this.#db.selectFrom("sandboxes").select("build").distinct().execute(),
      this.#db.selectFrom("builds").select("id").execute(),
    ]);
    const needed = new Set([
      ...held,
      ...sandboxes.map(({ build }) => build),
      ...templates.map(({ id }) => id),
    ]);
    // An index is flat: a build names all that it refers to, so that one step is enough.
    for (const { ancestors } of children.map(toRecord).filter(({ id }) => needed.has(id))) {
      for (const ancestor of ancestors) needed.add(ancestor);
    }
    return children.map(({ id }) => id).filter((id) => !needed.has(id));
  }
}

function toRecord(row: { id: string; ancestors: string; shape: string | null }): ChildBuildRecord {
  return {
    id: row.id,
    ancestors: JSON.parse(row.ancestors) as string[],
    ...(row.shape === null ? {} : { shape: JSON.parse(row.shape) as MachineShape }),
  };
}
