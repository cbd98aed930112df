import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Writable } from "node:stream";

/** What a client asks, by whichever version of HTTP. */
export type ClientRequest = IncomingMessage | Http2ServerRequest;
/** The answer to it. */
export type ClientResponse = ServerResponse | Http2ServerResponse;

/** Whom the client means to talk to: `:authority` of HTTP/2, `Host` of HTTP/1. */
export function authorityOf({ headers }: ClientRequest): string | undefined {
  return headers[":authority"]?.toString() ?? headers.host;
}

/** Sends the head of an answer now; `raw` is a flat list of names and values. */
export function sendHead(response: ClientResponse, status: number, raw: readonly string[]): void {
  if (response instanceof Http2ServerResponse) response.writeHead(status, grouped(raw));
  else response.writeHead(status, [...raw]).flushHeaders();
}

/** Where the body of an answer is written to, with back-pressure. */
export function sinkOf(response: ClientResponse): Writable {
  return response instanceof Http2ServerResponse ? response.stream : response;
}

/** True when all of the answer was handed to the system. */
export function isComplete(response: ClientResponse): boolean {
  return sinkOf(response).writableFinished;
}

/**
 * Ends an answer in the middle so that its client cannot take it for a whole one. On HTTP/2 the code of the reset
 * matters: to clients only an error is one.
 */
export function cutShort(response: ClientResponse): void {
  if (response instanceof Http2ServerResponse) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.destroy();
}

function grouped(raw: readonly string[]): Record<string, string[]> {
  const fields: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (let i = 0; i + 1 < raw.length; i += 2)
    (fields[(raw[i] ?? "").toLowerCase()] ??= []).push(raw[i + 1] ?? "");
  return fields;
}
