import { z } from "zod";

/** Longest life that can be asked for at once, in seconds (a year). A client may extend it as often as it likes. */
export const timeoutSecondsMax = 365 * 24 * 60 * 60;

/** Seconds, as all of this API counts them. */
export const seconds = z.int().min(1).max(timeoutSecondsMax);

export const stringMap = z.record(z.string(), z.string());

/** Names and values of environment variables: anything that a process can be started with. */
export const environment = z.record(
  z.string().regex(/^[^=\0]+$/, "a name of an environment variable is empty or holds '=' or NUL"),
  z.string().regex(/^[^\0]*$/, "a value of an environment variable holds NUL"),
);

/** A field that the protocol knows and this server does not: refused by name. Absent and null are fine. */
export function notYet(feature: string) {
  return z
    .unknown()
    .optional()
    .refine((value) => value === undefined || value === null, `${feature} not supported yet`);
}

/** A field of which this server can do one thing only: that is accepted, and everything else is refused by name. */
export function only<Schema extends z.ZodType>(
  schema: Schema,
  accepts: (value: z.output<Schema>) => boolean,
  otherwise: string,
) {
  return schema
    .nullish()
    .refine((value) => value === undefined || value === null || accepts(value), otherwise);
}

/** The body of requests that may come without one. */
export const noFields = z.strictObject({});
