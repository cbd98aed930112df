import { createHash, timingSafeEqual } from "node:crypto";
import type { Kysely } from "kysely";
import type { Clock } from "../base/clock.ts";
import type { Tables } from "./schema.ts";

/** Who may use the API. Only digests are kept: a stolen store opens no door. */
export class ApiKeys {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Lets `key` in under `name`; a former key of that name is no longer let in. */
  async set(name: string, key: string): Promise<void> {
    const digest = digestOf(key).toString("hex");
    await this.#db
      .insertInto("apiKeys")
      .values({ name, digest, createdAt: this.#clock.now() })
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ digest }))
      .execute();
  }

  /** Compares with every key, whatever the outcome so far: the time taken tells nothing of any of them. */
  async allows(key: string): Promise<boolean> {
    const given = digestOf(key);
    let allowed = false;
    for (const { digest } of await this.#db.selectFrom("apiKeys").select("digest").execute()) {
      const same = timingSafeEqual(Buffer.from(digest, "hex"), given);
      allowed = same || allowed;
    }
    return allowed;
  }

  async names(): Promise<string[]> {
    const rows = await this.#db.selectFrom("apiKeys").select("name").orderBy("name").execute();
    return rows.map((row) => row.name);
  }

  /** False when there is no key of that name. */
  async remove(name: string): Promise<boolean> {
    const { numDeletedRows } = await this.#db
      .deleteFrom("apiKeys")
      .where("name", "=", name)
      .executeTakeFirst();
    return numDeletedRows > 0n;
  }
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
