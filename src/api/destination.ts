import { isIP } from "node:net";
import { hostName, isLoopback } from "./host-name.ts";

/** What one request is for, decided by its host and two headers, before anything else of it is looked at. */
export type Destination =
  | { readonly kind: "api" }
  | { readonly kind: "sandbox"; readonly id: string; readonly port: number }
  | { readonly kind: "refused"; readonly status: 400 | 421; readonly message: string };

export interface Addressing {
  /** Served besides `*.localhost`; without a port. */
  readonly domain: string | undefined;
  /** The address or name that the operator told the daemon to bind to. */
  readonly boundHost: string;
}

export interface Addressed {
  /** What stands behind the method in the request's first line. */
  readonly target: string;
  readonly host: string | undefined;
  readonly sandboxId: string | undefined;
  readonly sandboxPort: string | undefined;
  /** The address at which the connection arrived. */
  readonly localAddress: string | undefined;
}

/** The port at which the agent answers in every sandbox. */
export const agentPort = 49983;

/**
 * `PORT-ID.DOMAIN` and `PORT-ID.localhost` name a sandbox by host. With `localhost`, an IP address or
 * `sandbox.DOMAIN` as host, the headers `E2b-Sandbox-Id` and `E2b-Sandbox-Port` do. All else is the API, if the host
 * is one of ours: a foreign one means that a web page has pointed its own name at this daemon (DNS rebinding).
 */
export function destinationOf(request: Addressed, addressing: Addressing): Destination {
  // A proxy's form of a target names a host of its own, which would have to be believed instead of the header.
  if (!request.target.startsWith("/")) return refused(400, "the request target must be a path");
  const name = hostName(request.host);
  if (name === undefined) return refused(400, "the Host header is missing or is no host name");
  const { domain } = addressing;
  for (const suffix of domain === undefined ? [".localhost"] : [`.${domain}`, ".localhost"]) {
    if (!name.endsWith(suffix)) continue;
    const label = name.slice(0, -suffix.length);
    if (suffix === `.${domain}` && label === "api") return { kind: "api" };
    if (suffix === `.${domain}` && label === "sandbox") return byHeaders(request) ?? missingId;
    return byLabel(label);
  }
  if (name === domain) return { kind: "api" };
  if (!isOurs(name, request.localAddress, addressing.boundHost)) {
    return refused(421, `the host '${name}' is not served here; LARDER_DOMAIN and LARDER_HOST name what is`);
  }
  return byHeaders(request) ?? { kind: "api" };
}

function isOurs(name: string, localAddress: string | undefined, boundHost: string): boolean {
  if (isLoopback(name) || name === boundHost.toLowerCase()) return true;
  return isIP(name) !== 0 && localAddress !== undefined && name === localAddress.replace(/^::ffff:/, "");
}

const missingId = refused(400, "the header E2b-Sandbox-Id is missing");

function byHeaders({ sandboxId, sandboxPort }: Addressed): Destination | undefined {
  if (sandboxId === undefined) return undefined;
  return sandbox(sandboxId, sandboxPort ?? "", "the headers E2b-Sandbox-Id and E2b-Sandbox-Port");
}

function byLabel(label: string): Destination {
  const dash = label.indexOf("-");
  return sandbox(label.slice(dash + 1), label.slice(0, Math.max(dash, 0)), "a host name PORT-ID.DOMAIN");
}

function sandbox(rawId: string, rawPort: string, where: string): Destination {
  const id = sandboxIdOf(rawId);
  const port = /^\d{1,5}$/.test(rawPort) ? Number(rawPort) : 0;
  if (id === undefined || port < 1 || port > 65535) {
    return refused(400, `${where} must name a sandbox and a port from 1 to 65535`);
  }
  return { kind: "sandbox", id, port };
}

/** The id in what a client sends; the oldest clients send `ID-CLIENTID`. Undefined when it can be none. */
export function sandboxIdOf(sent: string): string | undefined {
  return /^([a-z0-9]{1,63})(?:-[a-z0-9-]{0,63})?$/.exec(sent)?.[1];
}

function refused(status: 400 | 421, message: string): Destination {
  return { kind: "refused", status, message };
}
