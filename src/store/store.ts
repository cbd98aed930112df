import { type Dialect, Kysely } from "kysely";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { type Random, systemRandom } from "../base/random.ts";
import { ApiKeys } from "./api-keys.ts";
import { ChildBuildRecords } from "./child-build-records.ts";
import { migrate } from "./migrate.ts";
import { SandboxRecords } from "./sandbox-records.ts";
import type { Tables } from "./schema.ts";
import { Settings } from "./settings.ts";
import { SnapshotRecords } from "./snapshot-records.ts";
import { sqliteDialect } from "./sqlite-dialect.ts";
import { TemplateCards } from "./template-cards.ts";
import { TemplateRecords } from "./template-records.ts";
import { TemplateTags } from "./template-tags.ts";

export interface StoreOptions {
  /** The database file, or `:memory:`. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: Random;
  /** Another database than SQLite. */
  readonly dialect?: Dialect;
}

/** What must be remembered across restarts: settings, keys, templates, sandboxes. */
export class Store implements AsyncDisposable {
  readonly settings: Settings;
  readonly apiKeys: ApiKeys;
  readonly templates: TemplateRecords;
  readonly templateTags: TemplateTags;
  readonly sandboxes: SandboxRecords;
  readonly childBuilds: ChildBuildRecords;
  readonly snapshots: SnapshotRecords;
  /** What the bucket is told of all this. */
  readonly cards: TemplateCards;
  readonly #db: Kysely<Tables>;

  private constructor(db: Kysely<Tables>, settings: Settings, clock: Clock, random: Random) {
    this.#db = db;
    this.settings = settings;
    this.apiKeys = new ApiKeys(db, clock);
    this.templates = new TemplateRecords(db, clock, random);
    this.templateTags = new TemplateTags(db, this.templates, clock);
    this.sandboxes = new SandboxRecords(db);
    this.childBuilds = new ChildBuildRecords(db, clock);
    this.snapshots = new SnapshotRecords(db, clock, random);
    this.cards = new TemplateCards(db);
  }

  /** Opens or makes the store; throws `invalid` when a newer version wrote it, `corrupt` when it is no store. */
  static async open(options: StoreOptions): Promise<Store> {
    const { path, clock, logger, random = systemRandom } = options;
    const db = new Kysely<Tables>({ dialect: options.dialect ?? sqliteDialect(path) });
    try {
      const steps = await migrate(db as unknown as Kysely<never>, path);
      if (steps.length > 0) logger.info({ path, steps }, "the store has been brought up to date");
      return new Store(db, await Settings.load(db, random), clock, random);
    } catch (error) {
      await db.destroy();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
