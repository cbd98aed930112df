import { createHmac, hash } from "node:crypto";
import type { Header } from "../http/http-message.ts";

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A request as its signature sees it. */
export interface Unsigned {
  readonly method: string;
  /** Encoded as it is sent. */
  readonly path: string;
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: readonly Header[];
  /** Digest of the body in hex; undefined when there is none. For S3 it is the SHA-256. */
  readonly bodyDigest: string | undefined;
}

export interface SigningScope {
  readonly region: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** SHA-256 of nothing. */
const emptyDigest = hash("sha256", "");

/**
 * AWS Signature Version 4 for S3, in headers ("Authenticating Requests" of the S3 API reference): the headers to send,
 * those given included. All of them are signed, and so is the body by its digest.
 */
export function signV4(request: Unsigned, keys: AwsKeys, { now, region }: SigningScope): Header[] {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, "");
  const day = time.slice(0, 8);
  const digest = request.bodyDigest ?? emptyDigest;
  const headers: Header[] = [...request.headers, ["x-amz-content-sha256", digest], ["x-amz-date", time]];
  if (keys.sessionToken !== undefined) headers.push(["x-amz-security-token", keys.sessionToken]);
  const sorted = headers.map(([name, value]): Header => [name.toLowerCase(), value.trim()]).sort(byName);
  const names = sorted.map(([name]) => name).join(";");
  const canonical = [
    request.method,
    request.path,
    encodeQuery(request.query),
    ...sorted.map(([name, value]) => `${name}:${value}`),
    "",
    names,
    digest,
  ].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash("sha256", canonical)}`;
  const signature = hmac(signingKey(keys, day, region), toSign).toString("hex");
  const credential = `Credential=${keys.accessKeyId}/${scope}`;
  const proof = `AWS4-HMAC-SHA256 ${credential},SignedHeaders=${names},Signature=${signature}`;
  return [...headers, ["authorization", proof]];
}

/** A query as it is signed and sent: sorted, and encoded as RFC 3986 has it. */
export function encodeQuery(query: Unsigned["query"]): string {
  return query
    .map(([name, value]): Header => [encode(name), encode(value)])
    .sort(byName)
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function signingKey({ secretAccessKey }: AwsKeys, day: string, region: string): Buffer {
  return ["s3", "aws4_request"].reduce<Buffer>(hmac, hmac(hmac(`AWS4${secretAccessKey}`, day), region));
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function byName([a]: Header, [b]: Header): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
