import { trafficTokenHeader } from "./gone.ts";
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
const notForAgents = new Set(["host", "x-api-key", "e2b-sandbox-id", "e2b-sandbox-port", trafficTokenHeader]);

/**
 * `raw` (name, value, name, value …, as they stood on the wire) without what belongs to the connection,
 * `Connection`'s own list included, and without the pseudo-headers of HTTP/2. Capitals and order stay.
 */
export function endToEnd(raw: readonly string[]): string[] {
  const named = new Set<string>();
  for (const [name, value] of pairs(raw)) {
    if (name.toLowerCase() !== "connection") continue;
    for (const token of value.split(",")) named.add(token.trim().toLowerCase());
  }
  return pairs(raw)
    .filter(([name]) => !hopByHop.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
    .filter(([name]) => !name.startsWith(":"))
    .flat();
}

export interface PortHead {
  /** As it stood on the wire. */
  readonly raw: readonly string[];
  /** What the client named as its host. */
  readonly authority: string | undefined;
  /** Shown to the guest in its place. */
  readonly maskHost: string | undefined;
}

/** The headers for a server in a guest, which speaks HTTP/1: as they came, but for the host and for our token. */
export function portHeaders({ raw, authority, maskHost }: PortHead): string[] {
  const cookies: string[] = [];
  // With a capital, whoever asked: E2B writes it so, and there are those who search for it.
  const passed = ["Host", maskHost ?? authority ?? ""];
  for (const [name, value] of pairs(endToEnd(raw))) {
    const key = name.toLowerCase();
    if (key === trafficTokenHeader || key === "host") continue;
    if (key === "cookie") cookies.push(value);
    else passed.push(name, value);
  }
  // HTTP/2 may send its cookies one by one; of HTTP/1's header there is one (RFC 9113, 8.2.3).
  if (cookies.length > 0) passed.push("Cookie", cookies.join("; "));
  return passed;
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
