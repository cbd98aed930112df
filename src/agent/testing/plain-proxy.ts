import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { AgentChannel } from "../channel.ts";

const ownToConnection = new Set(["connection", "host", "keep-alive", "transfer-encoding", "expect"]);

/** Offers a guest's agent over plain HTTP/1.1 on loopback, so that clients can be pointed at it. */
export class PlainProxy implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;

  static async listen(channel: AgentChannel): Promise<PlainProxy> {
    const server = createServer((request, response) => {
      forward(channel, request, response).catch(() => response.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new PlainProxy(server);
  }

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function forward(channel: AgentChannel, request: IncomingMessage, response: ServerResponse) {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const headers = Object.entries(request.headers)
    .filter(([name]) => !ownToConnection.has(name))
    .map(([name, value]) => [name, value ?? ""]);
  const withBody = request.method === "POST";
  const answer = await channel.request(
    {
      method: request.method ?? "GET",
      path: request.url ?? "/",
      headers: Object.fromEntries(headers) as Record<string, string | string[]>,
      ...(withBody ? { body: bodyOf(request) } : {}),
    },
    gone.signal,
  );
  response.writeHead(answer.status, answer.headers);
  response.flushHeaders();
  await pipeline(answer.body, response);
}

/** A stream of its own: whoever gives it up early must not cut the client's connection. */
function bodyOf(request: IncomingMessage): Readable {
  const body = request.pipe(new PassThrough());
  body.once("close", () => request.unpipe(body).resume());
  return body;
}
