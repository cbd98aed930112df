import type { ServerHttp2Session, ServerOptions } from "node:http2";

/** What one connection may make us keep: the unread bodies of its streams, each up to its window (32 MiB). */
const streamsMax = 128;
const windowBytes = 256 * 1024;
const sessionMemoryMiB = 48;

/**
 * The HTTP/2 connections. They are asked to go only while nothing is under way on them: clients take the end of a
 * connection for the end of all its requests.
 */
export class Http2Sessions {
  readonly #idleMsMax: number;
  /** Each with the number of its open streams. */
  readonly #open = new Map<ServerHttp2Session, number>();
  #closing = false;

  constructor(idleMsMax: number) {
    this.#idleMsMax = idleMsMax;
  }

  options(headerBytesMax: number): ServerOptions {
    const settings = {
      maxConcurrentStreams: streamsMax,
      initialWindowSize: windowBytes,
      maxHeaderListSize: headerBytesMax,
    };
    return { maxSessionMemory: sessionMemoryMiB, settings };
  }

  add(session: ServerHttp2Session): void {
    this.#open.set(session, 0);
    session.once("close", () => this.#open.delete(session));
    session.setTimeout(this.#idleMsMax, () => this.#closeIfIdle(session));
    session.on("stream", (stream) => {
      this.#count(session, 1);
      stream.once("close", () => this.#count(session, -1));
    });
    if (this.#closing) session.close();
  }

  /** Those with something under way close when that has ended. */
  close(): void {
    this.#closing = true;
    for (const session of this.#open.keys()) this.#closeIfIdle(session);
  }

  #count(session: ServerHttp2Session, change: 1 | -1): void {
    const streams = (this.#open.get(session) ?? 0) + change;
    if (this.#open.has(session)) this.#open.set(session, streams);
    if (this.#closing) this.#closeIfIdle(session);
  }

  #closeIfIdle(session: ServerHttp2Session): void {
    if (this.#open.get(session) === 0) session.close();
  }
}
