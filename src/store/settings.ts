import { randomUUID } from "node:crypto";
import type { Kysely } from "kysely";
import type { Random } from "../base/random.ts";
import type { Tables } from "./schema.ts";

/** What a store is made with, once. */
export class Settings {
  /** Names this store, for instance in its bucket. A UUID. */
  storeId: string;
  /** 32 bytes that all tokens of sandboxes are derived from, so that they survive a restart. */
  readonly tokenSeed: Buffer;

  readonly #db: Kysely<Tables>;

  private constructor(db: Kysely<Tables>, storeId: string, tokenSeed: Buffer) {
    this.#db = db;
    this.storeId = storeId;
    this.tokenSeed = tokenSeed;
  }

  static async load(db: Kysely<Tables>, random: Random): Promise<Settings> {
    const storeId = await once(db, "storeId", randomUUID());
    const tokenSeed = await once(db, "tokenSeed", random.bytes(32).toString("hex"));
    return new Settings(db, storeId, Buffer.from(tokenSeed, "hex"));
  }

  /** An empty store takes the place of the one that a bucket belongs to. */
  async become(storeId: string): Promise<void> {
    await this.#db.updateTable("settings").set({ value: storeId }).where("name", "=", "storeId").execute();
    this.storeId = storeId;
  }
}

/** The value under `name`; `value` if there was none. Whoever comes first wins, also of two processes. */
async function once(db: Kysely<Tables>, name: string, value: string): Promise<string> {
  await db
    .insertInto("settings")
    .values({ name, value })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const row = await db
    .selectFrom("settings")
    .select("value")
    .where("name", "=", name)
    .executeTakeFirstOrThrow();
  return row.value;
}
