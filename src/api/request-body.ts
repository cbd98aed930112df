import type { IncomingMessage } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { Failure } from "../base/failure.ts";

/**
 * The body of `request` as a stream of its own, or undefined if there is none. Whoever reads it may give up early
 * without cutting the client's connection, on which an answer may still be under way; the rest is read and dropped.
 * A client that goes away in the middle makes it fail: a torn upload never looks complete.
 */
export function requestBody(request: IncomingMessage): Readable | undefined {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if (coding === undefined && (length === undefined || length === "0")) return undefined;
  const body = new PassThrough();
  // A reader that has already given up is told by its own signal; nobody needs to hear it twice.
  body.on("error", () => {});
  body.once("close", () => {
    request.unpipe(body);
    request.resume();
  });
  request.once("close", () => {
    if (!request.complete) body.destroy(new Failure("cancelled", "the client hung up during its upload"));
  });
  request.pipe(body);
  return body;
}
