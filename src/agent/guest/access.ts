import { timingSafeEqual } from "node:crypto";
import { lanePath } from "../protocol/lane.ts";
import { StatusError } from "./answers.ts";

/** Paths that check for themselves whether they may be used, or that anybody, or only the daemon, can use. */
const ownRules = new Set(["/health", "/init", "/files", lanePath]);

/**
 * Throws 401 unless the header is the access token, or there is none to be known, or the path has rules of
 * its own.
 */
export function checkAccess(
  path: string,
  header: string | string[] | undefined,
  token: string | undefined,
): void {
  if (token === undefined || ownRules.has(path)) return;
  if (!isToken(header, token))
    throw new StatusError(401, "unauthorized: the access token is missing or wrong");
}

/** Compares in constant time. */
export function isToken(header: string | string[] | undefined, token: string): boolean {
  if (typeof header !== "string") return false;
  const given = Buffer.from(header);
  const expected = Buffer.from(token);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
