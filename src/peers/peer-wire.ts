import type { Agent, AgentOptions, ClientRequest, RequestListener, RequestOptions } from "node:http";
import type { Server, ServerOptions } from "node:http";
import https from "node:https";
import { clientKey, serverKey } from "./peer-key.ts";

/** How questions and answers travel between nodes: over TLS, but in worlds that are made up. */
export interface PeerWire {
  /** Connections to one peer, to be used again. */
  agent(secret: string, settings: AgentOptions): Agent;
  request(options: RequestOptions): ClientRequest;
  server(secret: string, settings: ServerOptions, take: RequestListener): Server | https.Server;
}

export const tlsWire: PeerWire = {
  // Without cached sessions every connection proves the secret itself.
  agent: (secret, settings) => new https.Agent({ ...settings, maxCachedSessions: 0, ...clientKey(secret) }),
  request: (options) => https.request(options),
  server: (secret, settings, take) => https.createServer({ ...settings, ...serverKey(secret) }, take),
};
