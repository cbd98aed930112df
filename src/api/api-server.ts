import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { application, type ApplicationOptions } from "./application.ts";
import { authorityOf, type ClientRequest } from "./client-exchange.ts";
import { type Addressing, agentPort, type Destination, destinationOf } from "./destination.ts";
import { answerError } from "./gone.ts";
import { type Certificate, OnePort } from "./one-port.ts";
import { SandboxTraffic } from "./sandbox-traffic.ts";

export interface ApiServerOptions extends ApplicationOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** How long `close` waits for requests under way. */
  readonly closeMsMax: number;
  /** With it the port speaks TLS. */
  readonly certificate?: Certificate | undefined;
}

/**
 * The one port. Each request is sorted by its host before anything else of it is read: to a sandbox, whose traffic
 * passes through as a stream, or to the routes of the API.
 */
export class ApiServer implements AsyncDisposable {
  readonly #app: FastifyInstance;
  readonly #port: OnePort;
  readonly #options: ApiServerOptions;
  #closing: Promise<void> | undefined;

  private constructor(app: FastifyInstance, port: OnePort, options: ApiServerOptions) {
    this.#app = app;
    this.#port = port;
    this.#options = options;
  }

  static async listen(options: ApiServerOptions): Promise<ApiServer> {
    const { promise, resolve } = Promise.withResolvers<OnePort>();
    const app = await application(options, (api) => {
      const port = onePort(options, api as ApiHandler);
      resolve(port);
      return port.server;
    });
    await app.listen({ host: options.boundHost, port: options.port });
    return new ApiServer(app, await promise, options);
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
    this.#port.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { clock, closeMsMax } = this.#options;
    using _cut = clock.after(closeMsMax, () => this.#port.destroy());
    this.#port.close();
    await this.#app.close();
  }
}

/** The routes of the API answer both versions of HTTP, although their type knows of one. */
type ApiHandler = (request: ClientRequest, response: object) => void;

function onePort(options: ApiServerOptions, api: ApiHandler): OnePort {
  const traffic = new SandboxTraffic(options);
  const addressing = { domain: withoutPort(options.domain), boundHost: options.boundHost };
  return new OnePort({
    certificate: options.certificate,
    arrival: options.arrival,
    mayUpgrade: (request) => mayUpgrade(request, addressing),
    answer: (request, response, upgrade) => {
      const destination = destinationFor(request, addressing);
      switch (destination.kind) {
        case "sandbox": {
          const { id, port } = destination;
          void traffic.handle({ request, response, id, port, upgrade });
          return;
        }
        case "refused":
          request.resume();
          answerError(response, destination.status, destination.message);
          return;
        case "api":
          api(request, response);
      }
    },
  });
}

/** Only servers in guests speak other protocols; HTTP/2 is not begun like this any more (RFC 9113, 3.1). */
function mayUpgrade(request: IncomingMessage, addressing: Addressing): boolean {
  if (request.headers.upgrade?.toLowerCase() === "h2c") return false;
  const destination = destinationFor(request, addressing);
  return destination.kind === "sandbox" && destination.port !== agentPort;
}

function destinationFor(request: ClientRequest, addressing: Addressing): Destination {
  const { headers, socket } = request;
  return destinationOf(
    {
      target: request.url ?? "",
      host: authorityOf(request),
      sandboxId: single(headers["e2b-sandbox-id"]),
      sandboxPort: single(headers["e2b-sandbox-port"]),
      localAddress: socket.localAddress,
    },
    addressing,
  );
}

function single(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : header?.[0];
}

function withoutPort(domain: string | undefined): string | undefined {
  return domain?.replace(/:\d+$/, "").toLowerCase();
}
