import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type RequestListener,
  type Server,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../base/clock.ts";
import type { ApiServerOptions } from "../api-server.ts";
import { TestApi } from "./test-api.ts";

/** What listens inside the guest, on a port of this machine. */
export class GuestServer implements AsyncDisposable {
  readonly server: Server;
  /** Connections that have left HTTP; they are the test's own. */
  readonly upgraded = new Set<Duplex>();

  constructor(server: Server) {
    this.server = server;
  }

  static async listen(listener: RequestListener): Promise<GuestServer> {
    const server = createServer(listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new GuestServer(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    for (const each of this.upgraded) each.destroy();
    this.server.close();
    await once(this.server, "close");
  }
}

/** An API with one sandbox, `i0001`, whose agent is `guest`. */
export async function apiWith(
  guest: GuestServer,
  clock?: Clock,
  options: Partial<ApiServerOptions> = {},
): Promise<TestApi> {
  const api = await TestApi.start(options, clock);
  api.channel.agentPort = guest.port;
  await api.call("POST", "/v2/sandboxes", {});
  return api;
}

export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  /** Sends only `headers`: no sandbox is named but by them. */
  readonly bare?: boolean;
}

export async function exchange(
  api: TestApi,
  { method = "GET", path, headers, body, bare }: Sent,
): Promise<IncomingMessage> {
  const routing = bare === true ? {} : { "e2b-sandbox-id": "i0001", "e2b-sandbox-port": "49983" };
  const all = { ...routing, ...headers };
  const outgoing = httpRequest({
    host: "127.0.0.1",
    port: api.server.port,
    method,
    path,
    headers: all,
    agent: false,
  });
  const answered = once(outgoing, "response");
  outgoing.on("error", () => {});
  outgoing.end(body);
  const [answer] = (await answered) as [IncomingMessage];
  return answer;
}
