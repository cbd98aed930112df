import type { IncomingHttpHeaders } from "node:http";

/**
 * What lets the client run in a page of whatever origin (Fetch Standard, "CORS protocol"). Keys and tokens travel in
 * headers that a page must know to send them; no cookie means anything here, so that no page can use another one's
 * rights.
 */
export const crossOriginHeaders = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "*",
} as const;

/** A browser ignores the answer to a preflight request after so long. */
const rememberedSeconds = "7200";

/** The answer to a browser that asks first whether a page may ask; undefined when this is no such question. */
export function preflightHeaders(
  method: string | undefined,
  headers: IncomingHttpHeaders,
): Record<string, string> | undefined {
  const wanted = headers["access-control-request-method"];
  if (method !== "OPTIONS" || headers.origin === undefined || wanted === undefined) return undefined;
  return {
    ...crossOriginHeaders,
    "access-control-allow-methods": wanted,
    // By name, because `*` does not stand for Authorization.
    "access-control-allow-headers": headers["access-control-request-headers"] ?? "*",
    "access-control-max-age": rememberedSeconds,
  };
}
