import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type https from "node:https";
import type { AddressInfo } from "node:net";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { Gate } from "../base/gate.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { standingOf } from "./answer-build.ts";
import { answerChunks } from "./answer-chunks.ts";
import { answerInput } from "./answer-input.ts";
import type { Offering } from "./offering.ts";
import type { OriginReads } from "./origin-reads.ts";
import { nodeHeader } from "./peer-connection.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { type PeerWire, tlsWire } from "./peer-wire.ts";
import { encodeStanding, nodeName, type Question, questionOf } from "./question.ts";

export interface PeerServerOptions {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  /** TLS unless said. */
  readonly wire?: PeerWire | undefined;
  readonly node: string;
  readonly offering: Offering;
  readonly origins: OriginReads;
  /** A node of this name has asked about a build: it leases it. */
  readonly onHeard: (node: string, build: string) => void;
  readonly limits: PeerLimits;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly logger: Logger;
}

const connectionsMax = 1024;
const requestHeadersMsMax = 5000;
const idleMsMax = 60_000;

/** Answers the questions of other nodes. It has nothing to say to anybody who does not know the secret. */
export class PeerServer implements AsyncDisposable {
  readonly #options: PeerServerOptions;
  readonly #server: Server | https.Server;
  readonly #gate: Gate;
  readonly #closing = new AbortController();
  readonly #answers = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  private constructor(options: PeerServerOptions) {
    this.#options = options;
    this.#gate = new Gate({ capacity: options.limits.answersMax, waitersMax: 0, name: "answers to peers" });
    const times = { headersTimeout: requestHeadersMsMax, requestTimeout: requestHeadersMsMax };
    const sizes = { maxHeaderSize: 4096, keepAliveTimeout: idleMsMax };
    const take = (request: IncomingMessage, response: ServerResponse) => this.#take(request, response);
    const { secret, wire = tlsWire } = options;
    this.#server = wire.server(secret, { ...times, ...sizes }, take);
    this.#server.maxConnections = connectionsMax;
    this.#server.on("tlsClientError", () => options.meter.count("larder_peer_refusals_total"));
  }

  /** Throws `conflict`, `denied` or `invalid` when nobody can listen there. */
  static async listen(options: PeerServerOptions): Promise<PeerServer> {
    const server = new PeerServer(options);
    const { host, port } = options;
    server.#server.listen({ host, port });
    try {
      await once(server.#server, "listening");
    } catch (error) {
      const inUse = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      const message = `peers cannot be served at port ${port} of ${host}${inUse ? ": it is in use" : ""}`;
      throw new Failure(inUse ? "conflict" : Failure.from(error).code, message, { cause: error });
    }
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Breaks off what is being sent, and resolves when all leases taken for it are given back. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Failure("cancelled", "this node is leaving its peers"));
    const closed = once(this.#server, "close");
    this.#server.close();
    await Promise.allSettled(this.#answers);
    this.#server.closeAllConnections();
    await closed;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const answer = this.#answer(request, response).finally(() => this.#answers.delete(answer));
    this.#answers.add(answer);
  }

  /** Never rejects: an answer that cannot be given is an error status, or broken off. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, limits, logger } = this.#options;
    const gone = new AbortController();
    const onClose = () => gone.abort(new Failure("cancelled", "the peer has left"));
    response.once("close", onClose).on("error", onClose);
    const either = AbortSignal.any([gone.signal, this.#closing.signal]);
    try {
      const question = questionOf(request.url ?? "");
      const answerMsMax = question.kind === "input" ? limits.inputMsMax : limits.answerMsMax;
      using whole = deadline(clock, answerMsMax, "an answer to a peer", either);
      using _place = await this.#gate.enter(whole.signal);
      await this.#say(question, request, response, whole.signal);
    } catch (error) {
      const failure = Failure.from(error);
      if (response.headersSent || either.aborted) response.destroy();
      else response.writeHead(statuses.get(failure.code) ?? 500).end();
      if (failure.code === "internal") logger.error({ error }, "a peer could not be answered");
    }
  }

  async #say(
    question: Question,
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const { node, offering, onHeard } = this.#options;
    const asker = nodeName.safeParse(request.headers[nodeHeader]).data;
    if (request.method !== "GET" || asker === undefined)
      throw new Failure("invalid", "no question of a peer");
    // From here on this node counts the asker among those that take a share: before it says what it has itself.
    if (asker !== node) onHeard(asker, question.build);
    await using offered = offering.claim(question.build);
    if (question.kind === "build") {
      const standing = await standingOf({ ...this.#options, build: question.build, offered }, signal);
      response.writeHead(200, { "content-type": "application/json" }).end(encodeStanding(standing));
      return;
    }
    if (offered === undefined) throw new Failure("not_found", "nothing of the build is here");
    response.writeHead(200, { "content-type": "application/octet-stream" }).flushHeaders();
    const rest = { ...this.#options, offered, asker };
    if (question.kind === "input") await answerInput({ ...rest, digest: question.digest }, response, signal);
    else await answerChunks({ ...rest, request: question }, response, signal);
  }
}

const statuses = new Map([
  ["not_found", 404],
  ["exhausted", 503],
  ["invalid", 400],
]);
