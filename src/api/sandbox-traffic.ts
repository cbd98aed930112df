import { timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { forwardToAgent } from "./agent-traffic.ts";
import { type ClientRequest, cutShort } from "./client-exchange.ts";
import { clientSignal } from "./client-signal.ts";
import { agentPort } from "./destination.ts";
import { failureStatus, retryAfterSeconds } from "./failure-status.ts";
import {
  answerError,
  answerRefusal,
  portClosed,
  sandboxGone,
  tokenMissing,
  tokenWrong,
  trafficTokenHeader,
} from "./gone.ts";
import { forwardToPort, type PortExchange, type PortWay } from "./port-traffic.ts";
import type { SandboxService } from "./ports.ts";
import { RecentWork } from "./recent-work.ts";
import { type Ingress, ingressOf } from "../sandbox/ingress.ts";
import type { SandboxView } from "../sandbox/sandbox-view.ts";

export interface SandboxTrafficOptions {
  readonly sandboxes: Pick<SandboxService, "channel" | "ingress" | "reach">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** One request that is for a sandbox, and its answer. */
export interface Exchange extends PortExchange {
  readonly id: string;
}

/** The way from the one port into the guests: to their agents, and to whatever else listens there. */
export class SandboxTraffic {
  readonly #options: SandboxTrafficOptions;
  readonly #work: RecentWork;

  constructor(options: SandboxTrafficOptions) {
    this.#options = options;
    this.#work = new RecentWork(options.clock);
  }

  /** Answers one request; never throws. */
  async handle(exchange: Exchange): Promise<void> {
    const { request, response, id, port } = exchange;
    const { meter, logger } = this.#options;
    const signal = clientSignal(response);
    // Streams report what cuts them; without a listener a late report would end the daemon.
    response.on("error", () => {});
    request.on("error", () => {});
    try {
      await this.#forward(exchange, signal);
    } catch (error) {
      const failure = Failure.from(error);
      logger.debug(
        { sandbox: id, port, code: failure.code, cause: failure.message },
        "traffic was cut short",
      );
      this.#refuse(exchange, failure, signal);
    }
    const to = port === agentPort ? "agent" : "port";
    meter.count("larder_traffic_requests_total", { to, status: String(response.statusCode) });
  }

  async #forward(exchange: Exchange, signal: AbortSignal): Promise<void> {
    const { request, response, id, port } = exchange;
    const way = this.#way(id) ?? (await this.#reach(exchange, signal));
    if (way === undefined) return answerRefusal(request, response, sandboxGone(id));
    if (port === agentPort) {
      // Whatever starts a server in the guest comes as a POST.
      if (request.method === "POST") this.#work.note(way.channel);
      return await forwardToAgent(exchange, way.channel, signal);
    }
    const refusal = whyNotIn(request, id, way.ingress);
    if (refusal !== undefined) {
      request.resume();
      return answerRefusal(request, response, refusal);
    }
    await forwardToPort(exchange, way, this.#options.clock, signal);
  }

  /** Once the answer has begun, or nobody waits for it, only cutting it short is honest. */
  #refuse({ request, response, id, port }: Exchange, failure: Failure, signal: AbortSignal): void {
    request.resume();
    if (signal.aborted || response.headersSent) return cutShort(response);
    if (this.#way(id) === undefined) return answerRefusal(request, response, sandboxGone(id));
    if (port !== agentPort) return answerRefusal(request, response, portClosed(id, port));
    if (failure.code === "denied") return answerError(response, 404, failure.message);
    if (failure.code === "invalid") return answerError(response, failureStatus.invalid, failure.message);
    if (failure.code !== "exhausted") return answerRefusal(request, response, sandboxGone(id));
    const retryAfter = ["retry-after", String(retryAfterSeconds)];
    answerError(response, failureStatus.exhausted, failure.message, retryAfter);
  }

  /** The way into a sandbox that sleeps, woken by whoever may enter it; its agent, by whoever has the token. */
  async #reach({ request, id, port }: Exchange, signal: AbortSignal): Promise<PortWay | undefined> {
    const mayWake = (view: SandboxView) =>
      port === agentPort
        ? view.accessToken === undefined ||
          isSame(String(request.headers["x-access-token"]), view.accessToken)
        : whyNotIn(request, id, ingressOf(view)) === undefined;
    try {
      await this.#options.sandboxes.reach(id, mayWake, signal);
      return this.#way(id);
    } catch (error) {
      if (Failure.is(error, "not_found") || Failure.is(error, "conflict")) return undefined;
      throw error;
    }
  }

  #way(id: string): PortWay | undefined {
    const { sandboxes } = this.#options;
    try {
      const channel = sandboxes.channel(id);
      return { channel, ingress: sandboxes.ingress(id), mayOpen: this.#work.mayOpen(channel) };
    } catch {
      return undefined;
    }
  }
}

/** What is told to a client that may not enter; undefined lets it in. */
function whyNotIn({ headers }: ClientRequest, id: string, { trafficToken }: Ingress) {
  if (trafficToken === undefined) return undefined;
  const shown = headers[trafficTokenHeader];
  if (typeof shown !== "string" || shown === "") return tokenMissing(id);
  return isSame(shown, trafficToken) ? undefined : tokenWrong(id);
}

function isSame(shown: string, token: string): boolean {
  const [a, b] = [Buffer.from(shown), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}
