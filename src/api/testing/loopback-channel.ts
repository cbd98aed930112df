import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Failure } from "../../base/failure.ts";
import type { AgentAnswer, AgentRequest, GuestChannel } from "../ports.ts";

/** A channel whose guest is this machine: the agent is an HTTP server at `agentPort`, guest ports are real ones. */
export class LoopbackChannel implements GuestChannel {
  agentPort = 0;
  /** Guest port → port of this machine. */
  readonly ports = new Map<number, number>();
  /** How often `connectPort` was called. */
  attempts = 0;
  /** When set, both ways fail with it. */
  failure: Failure | undefined;

  async request({ method, path, headers, body }: AgentRequest, signal: AbortSignal): Promise<AgentAnswer> {
    if (this.failure !== undefined) throw this.failure;
    const outgoing = httpRequest({ host: "127.0.0.1", port: this.agentPort, method, path, headers, signal });
    const answered = once(outgoing, "response");
    if (body === undefined) outgoing.end();
    else void pipeline(body, outgoing).catch(() => {});
    const [answer] = (await answered) as [import("node:http").IncomingMessage];
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: answer };
  }

  async connectPort(port: number, signal: AbortSignal): Promise<Duplex> {
    this.attempts++;
    if (this.failure !== undefined) throw this.failure;
    const actual = this.ports.get(port);
    if (actual === undefined) throw new Failure("not_found", `nobody listens at port ${port}`);
    const socket = connect({ host: "127.0.0.1", port: actual, signal });
    await once(socket, "connect");
    return socket;
  }
}
