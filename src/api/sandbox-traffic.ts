import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { forwardToAgent } from "./agent-traffic.ts";
import { clientSignal } from "./client-signal.ts";
import { agentPort } from "./destination.ts";
import { failureStatus, retryAfterSeconds } from "./failure-status.ts";
import { answerError, answerPortClosed, answerSandboxGone } from "./gone.ts";
import { forwardToPort } from "./port-traffic.ts";
import type { GuestChannel, SandboxService } from "./ports.ts";

export interface SandboxTrafficOptions {
  readonly sandboxes: Pick<SandboxService, "channel">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** One request that is for a sandbox, and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id: string;
  readonly port: number;
}

/** The way from the one port into the guests: to their agents, and to whatever else listens there. */
export class SandboxTraffic {
  readonly #options: SandboxTrafficOptions;

  constructor(options: SandboxTrafficOptions) {
    this.#options = options;
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
    if (request.headers.upgrade?.toLowerCase() === "websocket") {
      return answerError(response, 501, "WebSocket connections to sandboxes are not supported yet");
    }
    const channel = this.#channel(id);
    if (channel === undefined) return answerSandboxGone(response, id);
    if (port === agentPort) await forwardToAgent(exchange, channel, signal);
    else await forwardToPort(exchange, channel, this.#options.clock, signal);
  }

  /** Once the answer has begun, or nobody waits for it, only cutting the connection is honest. */
  #refuse({ request, response, id, port }: Exchange, failure: Failure, signal: AbortSignal): void {
    request.resume();
    if (signal.aborted || response.headersSent) {
      response.destroy();
      return;
    }
    if (this.#channel(id) === undefined) return answerSandboxGone(response, id);
    if (port !== agentPort) return answerPortClosed(response, id, port);
    if (failure.code === "denied") return answerError(response, 404, failure.message);
    if (failure.code === "invalid") return answerError(response, failureStatus.invalid, failure.message);
    if (failure.code !== "exhausted") return answerSandboxGone(response, id);
    response.setHeader("retry-after", retryAfterSeconds);
    answerError(response, failureStatus.exhausted, failure.message);
  }

  #channel(id: string): GuestChannel | undefined {
    try {
      return this.#options.sandboxes.channel(id);
    } catch {
      return undefined;
    }
  }
}
