import type { Agent, IncomingMessage } from "node:http";
import { Failure } from "../base/failure.ts";
import { type PeerWire, tlsWire } from "./peer-wire.ts";
import { pathOf, type Question } from "./question.ts";

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface PeerConnectionOptions {
  readonly address: PeerAddress;
  readonly secret: string;
  /** This node's own name. */
  readonly node: string;
  readonly requestsMax: number;
  /** TLS unless said. */
  readonly wire?: PeerWire | undefined;
}

/** Connections that nobody uses are kept, this many to one peer. */
const idleMax = 4;
/** The header in which a node says its name. */
export const nodeHeader = "larder-node";

/** Asks one peer questions, over connections that are kept. */
export class PeerConnection implements Disposable {
  readonly name: string;
  readonly #options: PeerConnectionOptions;
  readonly #agent: Agent;
  readonly #wire: PeerWire;

  constructor(options: PeerConnectionOptions) {
    this.#options = options;
    this.name = `${options.address.host}:${options.address.port}`;
    const { requestsMax: maxSockets, secret } = options;
    this.#wire = options.wire ?? tlsWire;
    this.#agent = this.#wire.agent(secret, { keepAlive: true, maxSockets, maxFreeSockets: idleMax });
  }

  /**
   * The beginning of an answer; whoever gets it reads or destroys it. `signal` ends the answer too.
   * Throws `not_found` when the peer has nothing, `exhausted` when it is busy, `unavailable` when it cannot be asked.
   */
  async get(question: Question, signal: AbortSignal): Promise<IncomingMessage> {
    const answer = await this.#send(question, signal);
    const { statusCode } = answer;
    if (statusCode === 200) return answer;
    answer.destroy();
    if (statusCode === 404) throw new Failure("not_found", `peer ${this.name} has nothing of it`);
    if (statusCode === 503) throw new Failure("exhausted", `peer ${this.name} is busy`);
    throw new Failure("corrupt", `peer ${this.name} answered with status ${statusCode}`);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #send(question: Question, signal: AbortSignal): Promise<IncomingMessage> {
    for (;;) {
      signal.throwIfAborted();
      const { answer, request } = this.#request(question, signal);
      try {
        return await answer;
      } catch (error) {
        signal.throwIfAborted();
        // The peer may have closed a kept connection just when it was used again: that says nothing about the peer.
        if (!request.reusedSocket) throw broken(this.name, error);
      }
    }
  }

  #request(question: Question, signal: AbortSignal) {
    const { host, port } = this.#options.address;
    const headers = { [nodeHeader]: this.#options.node };
    const path = pathOf(question);
    const request = this.#wire.request({ host, port, path, headers, agent: this.#agent });
    const { promise: answer, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const onAbort = () => {
      reject(signal.reason as Error);
      request.destroy();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    request.once("close", () => signal.removeEventListener("abort", onAbort));
    request.once("response", resolve).on("error", reject).end();
    return { answer, request };
  }
}

/** Whatever is wrong with a connection is a peer that cannot be had. */
export function broken(name: string, error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure("unavailable", `peer ${name} broke off: ${Failure.from(error).message}`, {
    cause: error,
  });
}
