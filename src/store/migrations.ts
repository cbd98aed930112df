import type { Kysely } from "kysely";
import type { Migration } from "kysely/migration";

/** All steps from nothing to the newest schema, in the order of their names. A released step is never edited. */
export const migrations: Readonly<Record<string, Migration>> = {
  "0001-first": { up: first },
  "0002-paused-sandboxes": { up: pausedSandboxes },
  "0003-ingress": { up: ingress },
};

async function first(db: Kysely<unknown>): Promise<void> {
  await settingsAndKeys(db);
  await templates(db);
  await sandboxes(db);
}

/** Sandboxes that sleep, the builds that are made of them, and templates that are snapshots of one. */
async function pausedSandboxes(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema.alterTable("sandboxes").addColumn("lifecycle", "text").execute();
  await schema.alterTable("sandboxes").addColumn("timeoutMs", "bigint").execute();
  await schema.alterTable("sandboxes").addColumn("paused", "text").execute();
  await schema
    .createTable("childBuilds")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("ancestors", "text", (column) => column.notNull())
    .addColumn("shape", "text")
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .execute();
  await schema.alterTable("templates").addColumn("snapshotOf", "text").execute();
  await schema.alterTable("templates").addColumn("named", "integer").execute();
}

async function ingress(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("sandboxes").addColumn("ingress", "text").execute();
}

async function settingsAndKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("settings")
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("value", "text", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("apiKeys")
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("digest", "text", (column) => column.notNull())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .execute();
}

async function templates(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("templates")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .addColumn("updatedAt", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("builds")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("templateId", "text", (column) =>
      column.notNull().references("templates.id").onDelete("cascade"),
    )
    .addColumn("diskBuild", "text", (column) => column.notNull().references("builds.id").onDelete("cascade"))
    .addColumn("recipe", "text", (column) => column.notNull())
    .addColumn("shape", "text")
    .addColumn("coldBoot", "integer", (column) => column.notNull().defaultTo(0))
    .addColumn("vcpus", "integer", (column) => column.notNull())
    .addColumn("memoryBytes", "bigint", (column) => column.notNull())
    .addColumn("diskBytes", "bigint", (column) => column.notNull())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("buildsByDisk").on("builds").column("diskBuild").execute();
  await db.schema
    .createTable("templateTags")
    .addColumn("templateId", "text", (column) =>
      column.notNull().references("templates.id").onDelete("cascade"),
    )
    .addColumn("tag", "text", (column) => column.notNull())
    .addColumn("diskBuild", "text", (column) => column.notNull().references("builds.id"))
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("templateTagsKey", ["templateId", "tag"])
    .execute();
}

/** Sandboxes name their template and build but do not refer to them: a template may go while its sandboxes live on. */
async function sandboxes(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("sandboxes")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("templateId", "text", (column) => column.notNull())
    .addColumn("templateName", "text", (column) => column.notNull())
    .addColumn("build", "text", (column) => column.notNull())
    .addColumn("vcpus", "integer", (column) => column.notNull())
    .addColumn("memoryBytes", "bigint", (column) => column.notNull())
    .addColumn("diskBytes", "bigint", (column) => column.notNull())
    .addColumn("metadata", "text", (column) => column.notNull())
    .addColumn("envs", "text", (column) => column.notNull())
    .addColumn("secure", "integer", (column) => column.notNull())
    .addColumn("allowInternet", "integer", (column) => column.notNull())
    .addColumn("startedAt", "bigint", (column) => column.notNull())
    .addColumn("endAt", "bigint", (column) => column.notNull())
    .addColumn("directory", "text", (column) => column.notNull())
    .addColumn("socketDirectory", "text", (column) => column.notNull())
    .addColumn("uid", "bigint")
    .addColumn("pid", "bigint")
    .addColumn("processStart", "text")
    .addColumn("channelSecret", "text")
    .execute();
  await db.schema.createIndex("sandboxesByStart").on("sandboxes").columns(["startedAt", "id"]).execute();
  await db.schema
    .createTable("sandboxMetadata")
    .addColumn("sandboxId", "text", (column) =>
      column.notNull().references("sandboxes.id").onDelete("cascade"),
    )
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("value", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("sandboxMetadataKey", ["sandboxId", "name"])
    .execute();
}
