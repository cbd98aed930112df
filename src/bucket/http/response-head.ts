import { Failure } from "../../base/failure.ts";

/** The first part of an answer: its status, and its headers by their names in lower case. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** How the end of a body is known (RFC 9112, section 6.3). */
export type Framing =
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close" };

/** Longest head that is read, in bytes. */
export const headBytesMax = 16 * 1024;

/** Reads a head, the empty line at its end left out. Throws `unavailable`: what speaks so is no server of ours. */
export function parseHead(text: string): ResponseHead {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1];
  if (status === undefined) throw noHttp("its first line is none of HTTP/1.1");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1 || /\s/.test(line.slice(0, colon))) throw noHttp("a line of its head is no header");
    const name = line.slice(0, colon).toLowerCase();
    const before = headers.get(name);
    const value = line.slice(colon + 1).trim();
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(status), headers };
}

/** Says how long the body is that follows. Throws `unavailable` when the head says two things at once. */
export function framingOf({ status, headers }: ResponseHead, method: string): Framing {
  if (method === "HEAD" || status === 204 || status === 304) return { kind: "length", bytes: 0 };
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked" || length !== undefined)
      throw noHttp("it is not clear how long its body is");
    return { kind: "chunked" };
  }
  if (length === undefined) return { kind: "close" };
  if (!/^\d{1,15}$/.test(length)) throw noHttp("the length of its body is no number");
  return { kind: "length", bytes: Number(length) };
}

/** True when the connection may carry another request after this answer. */
export function keepsAlive({ headers }: ResponseHead): boolean {
  return !/(^|[ ,])close($|[ ,])/i.test(headers.get("connection") ?? "");
}

export function noHttp(why: string): Failure {
  return new Failure("unavailable", `the answer cannot be read: ${why}`);
}
