import { pipeline } from "node:stream/promises";
import { Failure } from "../base/failure.ts";
import { crossOriginHeaders, preflightHeaders } from "./cross-origin.ts";
import { isPublicAgentPath } from "./agent-path.ts";
import { type ClientRequest, type ClientResponse, sendHead, sinkOf } from "./client-exchange.ts";
import { agentHeaders, answerHeaders } from "./forwarded-headers.ts";
import type { GuestChannel } from "./ports.ts";
import { requestBody } from "./request-body.ts";

/**
 * Hands one request to the agent in the guest and streams its answer back, both ways as fast as the slower side reads.
 * Returns when the answer is complete; throws what kept it from coming or cut it short.
 */
export async function forwardToAgent(
  { request, response }: { request: ClientRequest; response: ClientResponse },
  channel: GuestChannel,
  signal: AbortSignal,
): Promise<void> {
  const preflight = preflightHeaders(request.method, request.headers);
  if (preflight !== undefined) {
    sendHead(response, 204, Object.entries(preflight).flat());
    sinkOf(response).end();
    return;
  }
  const path = request.url ?? "/";
  if (!isPublicAgentPath(path)) {
    throw new Failure("denied", `${request.method} ${path.split("?", 1)[0]} is no route of the agent`);
  }
  const body = requestBody(request);
  const asked = {
    method: request.method ?? "GET",
    path,
    headers: agentHeaders(request.rawHeaders),
    ...(body === undefined ? {} : { body }),
  };
  const answer = await channel.request(asked, signal);
  const crossOrigin = request.headers.origin === undefined ? [] : Object.entries(crossOriginHeaders).flat();
  sendHead(response, answer.status, [...answerHeaders(answer.headers), ...crossOrigin]);
  await pipeline(answer.body, sinkOf(response), { signal });
}
