import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { application, type ApplicationOptions } from "./application.ts";
import { destinationOf } from "./destination.ts";
import { answerError } from "./gone.ts";
import { SandboxTraffic } from "./sandbox-traffic.ts";

export interface ApiServerOptions extends ApplicationOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** How long `close` waits for requests under way. */
  readonly closeMsMax: number;
}

const limits = {
  connectionsMax: 4096,
  headerBytesMax: 32 * 1024,
  headersMsMax: 30_000,
  /** Longer than clients keep idle connections, so that it is they who close them. */
  idleMsMax: 75_000,
};

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * The one port. Each request is sorted by its host before anything else of it is read: to a sandbox, whose traffic
 * passes through as a stream, or to the routes of the API.
 */
export class ApiServer implements AsyncDisposable {
  readonly #app: FastifyInstance;
  readonly #options: ApiServerOptions;
  #closing: Promise<void> | undefined;

  private constructor(app: FastifyInstance, options: ApiServerOptions) {
    this.#app = app;
    this.#options = options;
  }

  static async listen(options: ApiServerOptions): Promise<ApiServer> {
    const app = await application(options, (handler) => serverOf(options, handler));
    await app.listen({ host: options.boundHost, port: options.port });
    return new ApiServer(app, options);
  }

  get port(): number {
    return (this.#app.server.address() as AddressInfo).port;
  }

  /** Takes no new requests, lets those under way end within `closeMsMax`, cuts the rest. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Cuts everything at once. */
  destroy(): void {
    void this.close();
    this.#app.server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { clock, closeMsMax } = this.#options;
    using _cut = clock.after(closeMsMax, () => this.#app.server.closeAllConnections());
    await this.#app.close();
  }
}

function serverOf(options: ApiServerOptions, api: Handler): Server {
  const traffic = new SandboxTraffic(options);
  const addressing = { domain: withoutPort(options.domain), boundHost: options.boundHost };
  const server = createServer({ maxHeaderSize: limits.headerBytesMax }, (request, response) => {
    const destination = destinationOf(addressedBy(request), addressing);
    switch (destination.kind) {
      case "sandbox":
        void traffic.handle({ request, response, id: destination.id, port: destination.port });
        return;
      case "refused":
        request.resume();
        answerError(response, destination.status, destination.message);
        return;
      case "api":
        api(request, response);
    }
  });
  server.maxConnections = limits.connectionsMax;
  server.headersTimeout = limits.headersMsMax;
  server.keepAliveTimeout = limits.idleMsMax;
  // Uploads and streams may take as long as they need; what is idle is closed, what is the API's is small.
  server.requestTimeout = 0;
  return server;
}

function addressedBy(request: IncomingMessage) {
  const { headers, socket } = request;
  return {
    target: request.url ?? "",
    host: headers.host,
    sandboxId: single(headers["e2b-sandbox-id"]),
    sandboxPort: single(headers["e2b-sandbox-port"]),
    localAddress: socket.localAddress,
  };
}

function single(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : header?.[0];
}

function withoutPort(domain: string | undefined): string | undefined {
  return domain?.replace(/:\d+$/, "").toLowerCase();
}
