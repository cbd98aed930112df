import { Http2ServerRequest } from "node:http2";
import { PassThrough, type Readable } from "node:stream";
import { Failure } from "../base/failure.ts";
import type { ClientRequest } from "./client-exchange.ts";

/**
 * The body of `request` as a stream of its own, or undefined if there is none. Whoever reads it may give up early
 * without cutting the client's connection, on which an answer may still be under way; the rest is read and dropped.
 * A client that goes away in the middle makes it fail: a torn upload never looks complete.
 */
export function requestBody(request: ClientRequest): Readable | undefined {
  if (!hasBody(request)) return undefined;
  const body = new PassThrough();
  // A reader that has already given up is told by its own signal; nobody needs to hear it twice.
  body.on("error", () => {});
  body.once("close", () => {
    request.unpipe(body);
    request.resume();
  });
  const torn = () => body.destroy(new Failure("cancelled", "the client hung up during its upload"));
  if (request instanceof Http2ServerRequest) request.stream.once("aborted", torn);
  else request.once("close", () => void (request.complete || torn()));
  request.pipe(body);
  return body;
}

function hasBody(request: ClientRequest): boolean {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if (length === "0") return false;
  if (request instanceof Http2ServerRequest) return !request.stream.endAfterHeaders;
  return coding !== undefined || length !== undefined;
}
