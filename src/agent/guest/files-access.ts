import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { StatusError } from "./answers.ts";
import { isToken } from "./access.ts";

export interface FilesQuery {
  /** As it stands in the query, unresolved. */
  readonly path: string;
  /** Empty when none was named. */
  readonly username: string;
  readonly signature: string | undefined;
  /** Seconds since the epoch, as text. */
  readonly expiration: string | undefined;
}

export function readQuery(url: string): FilesQuery {
  const query = new URL(url, "http://agent").searchParams;
  return {
    path: query.get("path") ?? "",
    username: query.get("username") ?? "",
    signature: query.get("signature") ?? undefined,
    expiration: query.get("signature_expiration") ?? undefined,
  };
}

/**
 * Throws 401 unless the header is the access token or the query is signed with it. The scheme of a signature and the
 * sentences are those of E2B's agent: clients compute the one and compare the others.
 */
export function checkFilesAccess(
  operation: "read" | "write",
  query: FilesQuery,
  header: string | string[] | undefined,
  token: string | undefined,
  clock: Clock,
): void {
  if (token === undefined) return;
  if (header !== undefined) {
    if (isToken(header, token)) return;
    throw new StatusError(401, "access token present in header but does not match");
  }
  if (query.signature === undefined) throw new StatusError(401, "missing signature query parameter");
  const { path, username, expiration } = query;
  const parts = [path, operation, username, token, ...(expiration === undefined ? [] : [expiration])];
  const digest = createHash("sha256").update(parts.join(":")).digest("base64").replaceAll("=", "");
  if (!equal(query.signature, `v1_${digest}`)) throw new StatusError(401, "invalid signature");
  if (expiration !== undefined && !(Number(expiration) >= clock.now() / 1000)) {
    throw new StatusError(401, "signature is already expired");
  }
}

function equal(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
