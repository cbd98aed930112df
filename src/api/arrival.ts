import type { preParsingAsyncHookHandler } from "fastify";
import type { Clock } from "../base/clock.ts";
import { requestBody } from "./request-body.ts";

/** How long a client may take to say what it wants. Uploads and streams to sandboxes are not meant. */
export interface ArrivalLimits {
  /** For the first bytes, for a TLS handshake, and for the headers of a request: each. */
  readonly headersMsMax: number;
  /** How often HTTP/1 connections are looked through for those that take longer. */
  readonly lookMs: number;
  /** For the body of a request to the API. */
  readonly bodyMsMax: number;
}

export const arrivalLimits: ArrivalLimits = { headersMsMax: 30_000, lookMs: 5000, bodyMsMax: 30_000 };

/** Answers 408 to a request whose body is not there in time; the connection ends with that. */
export function awaitBody(clock: Clock, bodyMsMax: number): preParsingAsyncHookHandler {
  return async (request, reply, payload) => {
    const body = requestBody(request.raw);
    if (body === undefined) return payload;
    const limit = clock.after(bodyMsMax, () => {
      if (request.raw.httpVersionMajor === 1) void reply.header("connection", "close");
      body.destroy(new LateBody(`the body of the request did not arrive within ${bodyMsMax / 1000} s`));
    });
    body.once("close", () => limit[Symbol.dispose]());
    return body;
  };
}

/** In the words of the framework, which turns it into an answer. */
class LateBody extends Error {
  readonly statusCode = 408;
}
