import { type Kysely, sql } from "kysely";
import { Migrator } from "kysely/migration";
import { Failure } from "../base/failure.ts";
import { migrations } from "./migrations.ts";

const migrationTable = "schemaSteps";

/** Brings the tables to the newest schema; throws `invalid` when a newer program has been here. */
export async function migrate(db: Kysely<never>, place: string): Promise<readonly string[]> {
  const unknown = (await stepsTaken(db)).find((step) => !(step in migrations));
  if (unknown !== undefined) {
    throw new Failure(
      "invalid",
      `the store at ${place} was written by a newer version of this program (it has '${unknown}'); ` +
        "use that version, or another data directory",
    );
  }
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve({ ...migrations }) },
    migrationTableName: migrationTable,
    migrationLockTableName: `${migrationTable}Lock`,
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) throw Failure.from(error, `the store at ${place} could not be brought up to date`);
  return results.map((result) => result.migrationName);
}

async function stepsTaken(db: Kysely<never>): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === migrationTable)) return [];
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(migrationTable)}`.execute(db);
  return rows.map((row) => row.name);
}
