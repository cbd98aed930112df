import type { Kysely } from "kysely";
import { Failure } from "../base/failure.ts";
import { decodePageToken } from "./page-token.ts";
import type { SandboxRecord } from "./sandbox-records.ts";
import type { Tables } from "./schema.ts";

export interface RecordFilter {
  readonly states: readonly SandboxRecord["state"][];
  /** All of these pairs must be there. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch, inclusive. */
  readonly startedAfter?: number;
  /** Id or name. */
  readonly template?: string;
  /** By start time; of two that started together the id decides. */
  readonly order: "asc" | "desc";
  readonly limit: number;
  /** What the former page gave as `next`. */
  readonly after?: string;
}

/** The query for one page: it begins behind the last record of the former one, so that no insert can shift it. */
export function selectPage(db: Kysely<Tables>, filter: RecordFilter) {
  const { states, metadata = {}, startedAfter, template, order, limit, after } = filter;
  let query = db.selectFrom("sandboxes").selectAll().where("state", "in", states);
  for (const [name, value] of Object.entries(metadata)) {
    query = query.where((where) =>
      where.exists(
        where
          .selectFrom("sandboxMetadata")
          .select("sandboxId")
          .whereRef("sandboxMetadata.sandboxId", "=", "sandboxes.id")
          .where("sandboxMetadata.name", "=", name)
          .where("sandboxMetadata.value", "=", value),
      ),
    );
  }
  if (startedAfter !== undefined) query = query.where("startedAt", ">=", startedAfter);
  if (template !== undefined)
    query = query.where((where) =>
      where.or([where("templateId", "=", template), where("templateName", "=", template)]),
    );
  if (after !== undefined) {
    const place = decodePageToken(after);
    if (place.order !== order) throw new Failure("invalid", `nextToken belongs to order '${place.order}'`);
    const behind = order === "asc" ? ">" : "<";
    query = query.where((where) =>
      where.or([
        where("startedAt", behind, place.startedAt),
        where.and([where("startedAt", "=", place.startedAt), where("id", behind, place.id)]),
      ]),
    );
  }
  return query.orderBy("startedAt", order).orderBy("id", order).limit(limit);
}
