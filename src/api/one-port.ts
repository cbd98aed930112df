import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { createServer as createHttp2, type Http2Server } from "node:http2";
import type { Socket } from "node:net";
import { createServer as createTls, type Server as TlsServer, type TLSSocket } from "node:tls";
import type { ArrivalLimits } from "./arrival.ts";
import type { ClientRequest, ClientResponse } from "./client-exchange.ts";
import { type Protocol, protocolOf } from "./first-bytes.ts";
import { isLoopback } from "./host-name.ts";
import { Http2Sessions } from "./http2-sessions.ts";
import { answerMalformed } from "./malformed.ts";
import type { UpgradeRequest } from "./upgrade.ts";

/** A certificate and its key, PEM. They may be renewed at any time. */
export interface Certificate {
  readonly current: { readonly cert: Buffer; readonly key: Buffer };
  onRenewal(listener: () => void): Disposable;
}

export interface OnePortOptions {
  /** With it the port speaks TLS; plain HTTP is then answered only to this machine itself. */
  readonly certificate: Certificate | undefined;
  readonly arrival: ArrivalLimits;
  readonly answer: (request: ClientRequest, response: ClientResponse, upgrade?: UpgradeRequest) => void;
  /** Whether this request may leave HTTP; otherwise its wish is ignored and it is answered as ever. */
  readonly mayUpgrade: (request: IncomingMessage) => boolean;
}

const limits = {
  connectionsMax: 4096,
  headerBytesMax: 32 * 1024,
  /** Longer than clients keep idle connections, so that it is they who close them. */
  idleMsMax: 75_000,
};

/** HTTP/1 and HTTP/2 on one port, plain or over TLS: the first bytes of a connection tell. */
export class OnePort {
  /** Listens; takes part in nothing else but HTTP/1. */
  readonly server: Server;
  readonly #headersMsMax: number;
  readonly #http2: Http2Server;
  readonly #sessions = new Http2Sessions(limits.idleMsMax);
  readonly #tls: TlsServer | undefined;
  readonly #serveHttp1: (socket: Socket) => void;
  readonly #connections = new Set<Socket>();

  constructor(options: OnePortOptions) {
    this.#headersMsMax = options.arrival.headersMsMax;
    this.server = http1Server(options);
    // Handed only what has shown to be HTTP/1: "connection" is where everything comes in.
    const [serveHttp1] = this.server.listeners("connection");
    this.#serveHttp1 = serveHttp1 as (socket: Socket) => void;
    this.server.removeAllListeners("connection");
    this.server.on("connection", (socket: Socket) => this.#welcome(socket));
    this.#http2 = createHttp2(this.#sessions.options(limits.headerBytesMax), options.answer);
    this.#http2.on("session", (session) => this.#sessions.add(session));
    this.#tls = options.certificate === undefined ? undefined : this.#tlsServer(options.certificate);
  }

  /** HTTP/1 is told by its server's own `close`; this tells all others. */
  close(): void {
    this.#sessions.close();
  }

  destroy(): void {
    for (const socket of this.#connections) socket.destroy();
  }

  #welcome(socket: Socket): void {
    this.#connections.add(socket);
    socket.once("close", () => this.#connections.delete(socket));
    const onError = () => {}; // Its "close" says all there is to say.
    socket.on("error", onError);
    socket.setNoDelay(true);
    firstBytes(socket, this.#headersMsMax, (protocol) => this.#sort(socket, protocol));
  }

  #sort(socket: Socket, protocol: Protocol): void {
    if (this.#tls === undefined) {
      if (protocol === "http2") this.#http2.emit("connection", socket);
      else this.#serveHttp1.call(this.server, socket);
      return;
    }
    if (protocol === "tls") this.#tls.emit("connection", socket);
    else if (!isFromHere(socket)) answerMalformed(socket, 400, "this port speaks TLS: begin with https://");
    else if (protocol === "http2") this.#http2.emit("connection", socket);
    else this.#serveHttp1.call(this.server, socket);
  }

  #tlsServer(certificate: Certificate): TlsServer {
    const handshake = { ALPNProtocols: ["h2", "http/1.1"], handshakeTimeout: this.#headersMsMax };
    const server = createTls({ ...handshake, ...certificate.current }, (socket: TLSSocket) => {
      socket.on("error", () => {});
      if (socket.alpnProtocol === "h2") this.#http2.emit("connection", socket);
      else this.#serveHttp1.call(this.server, socket);
    });
    const renewal = certificate.onRenewal(() => server.setSecureContext(certificate.current));
    this.server.once("close", () => renewal[Symbol.dispose]());
    return server;
  }
}

/** Calls back, once, when enough has come to tell the protocol; the bytes can be read again. */
function firstBytes(socket: Socket, msMax: number, then: (protocol: Protocol) => void): void {
  const giveUp = () => socket.destroy();
  const look = () => {
    const bytes: Buffer | null = socket.read();
    if (bytes === null) return;
    socket.unshift(bytes);
    const protocol = protocolOf(bytes);
    if (protocol === undefined) return;
    socket.off("readable", look);
    socket.off("end", giveUp);
    socket.off("timeout", giveUp);
    socket.setTimeout(0);
    then(protocol);
  };
  socket.setTimeout(msMax);
  socket.on("timeout", giveUp);
  socket.on("end", giveUp);
  socket.on("readable", look);
}

/** Neither the key nor anything else passes a network then. */
function isFromHere({ remoteAddress = "", localAddress }: Socket): boolean {
  return isLoopback(remoteAddress) || remoteAddress === localAddress;
}

function http1Server(options: OnePortOptions): Server {
  const answers = new WeakMap<Duplex, ServerResponse>();
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      connectionsCheckingInterval: options.arrival.lookMs,
      shouldUpgradeCallback: options.mayUpgrade,
    },
    (request, response) => {
      answers.set(request.socket, response);
      options.answer(request, response);
    },
  );
  server.on("upgrade", (request, socket, early) => upgrade(request, socket, early, options));
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const [status, message] = whatIsWrong(error.code, options.arrival);
    // Nothing may be said into the middle of an answer.
    if (answers.get(socket)?.writableFinished === false) socket.destroy();
    else answerMalformed(socket, status, message);
  });
  server.maxConnections = limits.connectionsMax;
  server.headersTimeout = options.arrival.headersMsMax;
  server.keepAliveTimeout = limits.idleMsMax;
  // Uploads and streams may take as long as they need; what is idle is closed, what is the API's has its own limit.
  server.requestTimeout = 0;
  return server;
}

function whatIsWrong(code: string | undefined, { headersMsMax }: ArrivalLimits): [number, string] {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return [408, `the headers of the request did not arrive within ${headersMsMax / 1000} s`];
  if (code === "HPE_HEADER_OVERFLOW")
    return [431, `the headers of a request may have ${limits.headerBytesMax} bytes`];
  return [400, "this is no HTTP request"];
}

/** The request is answered as any other; only that its answer may be the end of HTTP on this connection. */
function upgrade(request: IncomingMessage, socket: Duplex, early: Buffer, { answer }: OnePortOptions): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  try {
    response.assignSocket(socket as Socket);
  } catch {
    socket.destroy(); // An earlier answer is under way on this connection.
    return;
  }
  response.once("finish", () => socket.end());
  const protocol = request.headers.upgrade ?? "";
  answer(request, response, {
    protocol,
    socket,
    early,
    detach: () => response.detachSocket(socket as Socket),
  });
}
