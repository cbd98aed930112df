import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { SandboxFilter } from "../sandbox/sandbox-filter.ts";

/** The most that one page holds, and what it holds when nobody says. */
export const pageSandboxesMax = 100;

const states = ["running", "paused"] as const;

/** `GET /v2/sandboxes`. */
export const listQuery = z.strictObject({
  metadata: z.string().optional(),
  state: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(z.enum(states)))
    .optional(),
  startedAfter: z.iso.datetime({ offset: true }).optional(),
  template: z.string().min(1).optional(),
  order: z.enum(["asc", "desc"]).default("desc"),
  limit: z.coerce.number().int().min(1).max(pageSandboxesMax).default(pageSandboxesMax),
  nextToken: z.string().min(1).optional(),
});

/** `GET /sandboxes`: all that run, in one answer. */
export const runningQuery = z.strictObject({ metadata: z.string().optional() });

export function toFilter(query: z.output<typeof listQuery>): SandboxFilter {
  const { metadata, state, startedAfter, template, order, limit, nextToken } = query;
  return {
    order,
    limit,
    ...(metadata === undefined ? {} : { metadata: metadataOf(metadata) }),
    ...(state === undefined ? {} : { states: state }),
    ...(startedAfter === undefined ? {} : { startedAfter: Date.parse(startedAfter) }),
    ...(template === undefined ? {} : { template }),
    ...(nextToken === undefined ? {} : { after: nextToken }),
  };
}

/**
 * Pairs from a form string whose names and values are percent-encoded once more
 * (`{user: "a b"}` → `user=a%2520b`), as clients send them.
 */
export function metadataOf(form: string): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const [name, value] of new URLSearchParams(form)) pairs.push([decoded(name), decoded(value)]);
  return Object.fromEntries(pairs);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new Failure("invalid", `field 'metadata': '${text}' is not percent-encoded`, { cause: error });
  }
}
