import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { encodeAnswer, type Preamble, PreambleSplitter } from "../protocol/preamble.ts";
import { PortLink } from "./port-link.ts";
import type { Port } from "./port.ts";

/** What may be under way, and what each may send us unread: 128 MiB in all if a host does its worst. */
const streamsMax = 512;
const windowBytes = 256 * 1024;
const headerBytesMax = 128 * 1024;
const sessionMemoryMiB = 160;

interface Current {
  readonly link: PortLink;
  session?: ServerHttp2Session;
}

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

/**
 * Watches all that comes in for preambles. Each one ends the session before it, is answered, and starts a new one;
 * the host's first valid frame confirms it.
 */
export function serveSessions(port: Port, secret: Buffer, server: Http2Server): void {
  const splitter = new PreambleSplitter(secret);
  let current: Current | undefined;
  server.on("session", (session) => {
    const of = current;
    if (of === undefined) return;
    of.session = session;
    session.once("remoteSettings", () => {
      if (of === current) splitter.confirm();
    });
    session.on("error", () => {}); // The link ends with it; the host begins anew.
  });
  const begin = ({ nonce }: Preamble) => {
    const before = current;
    current = { link: new PortLink(port) };
    before?.session?.destroy();
    before?.link.destroy();
    port.write(encodeAnswer(nonce), () => {});
    server.emit("connection", current.link);
  };
  port.listen((bytes) => {
    for (const piece of splitter.push(bytes)) {
      if (piece.kind === "preamble") begin(piece.preamble);
      else if (current?.link.destroyed === false) current.link.push(piece.bytes);
    }
  });
}
