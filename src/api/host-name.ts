import { isIP, isIPv4 } from "node:net";

/** The name in a `Host` header without port and brackets, in lower case; undefined when it is none. */
export function hostName(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/.exec((header ?? "").toLowerCase());
  const name = match?.[1] ?? match?.[2];
  if (name === undefined || (match?.[1] !== undefined && isIP(name) !== 6)) return undefined;
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/** True for this machine's own addresses that no network reaches. */
export function isLoopback(name: string): boolean {
  if (name === "localhost" || name === "::1") return true;
  const plain = name.startsWith("::ffff:") ? name.slice("::ffff:".length) : name;
  return isIPv4(plain) && plain.startsWith("127.");
}
