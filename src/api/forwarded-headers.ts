import type { HeaderFields } from "./ports.ts";

/** Headers that speak of one connection and never travel further (RFC 9110, 7.6.1; RFC 9113, 8.2.2). */
const hopByHop = new Set([
  "connection",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** The daemon's own business: no guest needs it, and the key would let a guest use the API. */
const notForAgents = new Set(["host", "x-api-key", "e2b-sandbox-id", "e2b-sandbox-port"]);

/**
 * `raw` (name, value, name, value …, as they stood on the wire) without what belongs to the connection,
 * `Connection`'s own list included. Capitals and order stay.
 */
export function endToEnd(raw: readonly string[]): string[] {
  const named = new Set<string>();
  for (const [name, value] of pairs(raw)) {
    if (name.toLowerCase() !== "connection") continue;
    for (const token of value.split(",")) named.add(token.trim().toLowerCase());
  }
  return pairs(raw)
    .filter(([name]) => !hopByHop.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
    .flat();
}

/** The same for the agent's HTTP/2 channel: lower case, grouped, without what is only the daemon's. */
export function agentHeaders(raw: readonly string[]): HeaderFields {
  const fields: HeaderFields = Object.create(null) as HeaderFields;
  for (const [name, value] of pairs(endToEnd(raw))) {
    const key = name.toLowerCase();
    if (notForAgents.has(key)) continue;
    const before = fields[key];
    fields[key] = before === undefined ? value : [before, value].flat();
  }
  return fields;
}

/** The agent's answer as a flat list for `writeHead`. */
export function answerHeaders(fields: Readonly<Record<string, string | string[] | undefined>>): string[] {
  const raw: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of [value].flat()) raw.push(name, one);
  }
  return endToEnd(raw);
}

function pairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return list;
}
