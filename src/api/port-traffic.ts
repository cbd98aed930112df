import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { endToEnd } from "./forwarded-headers.ts";
import type { GuestChannel } from "./ports.ts";
import { requestBody } from "./request-body.ts";

/** Pauses before each further attempt: a server that was started a moment ago is often not listening yet. */
const retryPausesMs = [50, 150, 300, 500];

export interface PortExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly port: number;
}

/**
 * Hands one request to a server in the guest, over a connection of its own, and streams the answer back.
 * Returns when the answer is complete; throws what kept it from coming or cut it short.
 */
export async function forwardToPort(
  { request, response, port }: PortExchange,
  channel: GuestChannel,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const connection = await connect(channel, port, clock, signal);
  try {
    const answer = await ask(request, connection, signal);
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.rawHeaders));
    response.flushHeaders();
    await pipeline(answer, response, { signal });
  } finally {
    connection.destroy();
  }
}

async function connect(
  channel: GuestChannel,
  port: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Duplex> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await channel.connectPort(port, signal);
    } catch (error) {
      signal.throwIfAborted();
      const pauseMs = retryPausesMs[attempt];
      if (pauseMs === undefined || !mayOpenYet(error)) throw error;
      await clock.sleep(pauseMs, signal);
    }
  }
}

function mayOpenYet(error: unknown): boolean {
  return Failure.is(error, "not_found") || Failure.is(error, "unavailable");
}

/** Sends `request` over `connection`, header by header as it came, and resolves with the head of the answer. */
function ask(request: IncomingMessage, connection: Duplex, signal: AbortSignal): Promise<IncomingMessage> {
  const headers = endToEnd(request.rawHeaders);
  if (request.headers["transfer-encoding"] !== undefined) headers.push("Transfer-Encoding", "chunked");
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      method: request.method ?? "GET",
      path: request.url ?? "/",
      headers,
      createConnection: () => connection,
      signal,
    });
    outgoing.once("response", resolve);
    outgoing.on("error", reject);
    const body = requestBody(request);
    if (body === undefined) outgoing.end();
    else void pipeline(body, outgoing).catch(reject);
  });
}
