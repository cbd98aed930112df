import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../base/clock.ts";
import { authorityOf, type ClientRequest, type ClientResponse, sendHead, sinkOf } from "./client-exchange.ts";
import { connectPort, type PortGuest } from "./connect-port.ts";
import { endToEnd, portHeaders } from "./forwarded-headers.ts";
import type { Ingress } from "../sandbox/ingress.ts";
import { requestBody } from "./request-body.ts";
import { joinUpgraded, type UpgradeRequest } from "./upgrade.ts";

export interface PortExchange {
  readonly request: ClientRequest;
  readonly response: ClientResponse;
  readonly port: number;
  /** Set when the client wants to go on in another protocol on this connection. */
  readonly upgrade?: UpgradeRequest | undefined;
}

/** How to reach a server in the guest. */
export interface PortWay extends PortGuest {
  readonly ingress: Ingress;
}

/**
 * Hands one request to a server in the guest, over a connection of its own, and streams the answer back.
 * Returns when the answer is complete; throws what kept it from coming or cut it short.
 */
export async function forwardToPort(
  exchange: PortExchange,
  way: PortWay,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const { request, response, port, upgrade } = exchange;
  const { ingress } = way;
  const maskHost = ingress.maskHost?.replaceAll("${PORT}", String(port));
  const authority = authorityOf(request);
  const tlsHost = ingress.httpsPorts.includes(port) ? (maskHost ?? authority ?? "") : undefined;
  const connection = await connectPort({ port, tlsHost }, way, clock, signal);
  try {
    const headers = portHeaders({ raw: request.rawHeaders, authority, maskHost });
    const answer = await ask({ request, upgrade, headers }, connection, signal);
    if (answer.upgraded !== undefined && upgrade !== undefined) {
      await joinUpgraded(upgrade, answer, signal);
      return;
    }
    sendHead(response, answer.head.statusCode ?? 502, endToEnd(answer.head.rawHeaders));
    await pipeline(answer.head, sinkOf(response), { signal });
  } finally {
    connection.destroy();
  }
}

interface Question {
  readonly request: ClientRequest;
  readonly upgrade: UpgradeRequest | undefined;
  readonly headers: readonly string[];
}

interface Answer {
  readonly head: IncomingMessage;
  /** What the guest has said already in the protocol that it changed to. */
  readonly upgraded?: Buffer;
  readonly connection: Duplex;
}

/** Sends `request` over `connection` and resolves with the head of the answer. */
function ask(
  { request, upgrade, headers }: Question,
  connection: Duplex,
  signal: AbortSignal,
): Promise<Answer> {
  const body = upgrade === undefined ? requestBody(request) : undefined;
  const more: string[] = [];
  if (upgrade !== undefined) more.push("Connection", "Upgrade", "Upgrade", upgrade.protocol);
  if (body !== undefined && request.headers["content-length"] === undefined)
    more.push("Transfer-Encoding", "chunked");
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      method: request.method ?? "GET",
      path: request.url ?? "/",
      headers: [...headers, ...more],
      createConnection: () => connection,
      signal,
    });
    outgoing.once("response", (head) => resolve({ head, connection }));
    if (upgrade !== undefined)
      outgoing.once("upgrade", (head, _socket, upgraded) => resolve({ head, upgraded, connection }));
    outgoing.on("error", reject);
    if (body === undefined) outgoing.end();
    else void pipeline(body, outgoing).catch(reject);
  });
}
