import { createServer, type Http2Server } from "node:http2";
import { encodeAnswer, encodeStart, type Preamble, PreambleSplitter } from "../protocol/preamble.ts";
import type { Inheritance } from "./inheritance.ts";
import { PortLink } from "./port-link.ts";
import type { Port } from "./port.ts";

/** What may be under way, and what each may send us unread: 128 MiB in all if a host does its worst. */
const streamsMax = 512;
const windowBytes = 256 * 1024;
const headerBytesMax = 128 * 1024;
const sessionMemoryMiB = 160;

/** An HTTP/2 server without a socket: its sessions come over the port, one at a time. */
export function createSessionServer(): Http2Server {
  return createServer({
    maxSessionMemory: sessionMemoryMiB,
    settings: {
      initialWindowSize: windowBytes,
      maxConcurrentStreams: streamsMax,
      maxHeaderListSize: headerBytesMax,
    },
  });
}

interface Current {
  readonly link: PortLink;
  readonly nonce: Buffer;
}

export interface SessionsOptions {
  readonly port: Port;
  /** What the first preamble must bear, unless an agent before this one left other secrets. */
  readonly secret: Buffer;
  readonly server: Http2Server;
  readonly inheritance: Inheritance;
}

/**
 * Watches all that comes in for preambles. Each one ends the session before it, is answered, and starts a new one;
 * the host's first valid frame confirms it. A session is made before anybody asks for one: when a restored machine
 * wakes up, nothing is left to do but to answer.
 */
export function serveSessions({ port, secret, server, inheritance }: SessionsOptions): void {
  const left = inheritance.secrets;
  const splitter = left === undefined ? new PreambleSplitter(secret) : new PreambleSplitter(...left);
  const keepSecrets = () => inheritance.keepSecrets([splitter.secret, splitter.successor]);
  let spare: PortLink | undefined;
  let current: Current | undefined;
  let newest: PortLink | undefined;
  const prepare = () => {
    newest = new PortLink(port);
    server.emit("connection", newest);
    return newest;
  };
  server.on("session", (session) => {
    const link = newest;
    session.once("remoteSettings", () => {
      if (link !== current?.link) return;
      splitter.confirm();
      keepSecrets();
    });
    session.on("goaway", () => link?.destroy()); // The host has left; the port itself never says so.
    session.on("close", () => {
      if (link === current?.link) spare ??= prepare();
    });
    session.on("error", () => {}); // The link ends with it; the host begins anew.
  });
  const begin = ({ nonce }: Preamble) => {
    if (current !== undefined && !current.link.destroyed && current.nonce.equals(nonce)) return; // a late repetition
    const before = current;
    current = { link: spare ?? prepare(), nonce };
    spare = undefined;
    current.link.attach(encodeAnswer(nonce));
    keepSecrets(); // The answer leaves later than this returns.
    before?.link.destroy(); // Its session goes with it.
  };
  spare = prepare();
  port.write(encodeStart(), () => {});
  port.listen((bytes) => {
    for (const piece of splitter.push(bytes)) {
      if (piece.kind === "preamble") begin(piece.preamble);
      else current?.link.receive(piece.bytes);
    }
  });
}
