import type { Duplex } from "node:stream";
import { abortable } from "../base/abortable.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { AgentChannel, type ChannelOptions } from "./channel.ts";
import type { GuestAnswer, GuestRequest } from "./exchange.ts";

/** How long a call waits for an agent that is being started again. */
const waitMsMax = 10_000;
/** How often in a row a port that fails at once is tried. */
const triesMax = 20;
/** Pause between two tries, and before the next when a session was over as soon as it had begun. */
const pauseMs = 250;
const shortSessionMs = 1_000;

/**
 * A channel that outlives the agent at its other end: when a session ends it finds the start of a new one.
 *
 *   open ── the session ends ──▶ away ── the agent answers ──▶ open
 *     │                           └─ nobody offers the port any more ──▶ closed
 *     └── closed by its owner ──▶ closed
 *
 * What was under way when a session ended has failed. What is asked while the agent is away waits for it a while:
 * none of it has been sent, so that nothing is ever done twice.
 */
export class LastingChannel implements AsyncDisposable {
  /** Resolves when there will be no session any more. */
  readonly closed: Promise<void>;
  readonly #options: ChannelOptions;
  readonly #close: () => void;
  readonly #end = new AbortController();
  #session: { readonly channel: AgentChannel; readonly beganAt: number } | undefined;
  /** The session, or the wait for the next one. */
  #current: Promise<AgentChannel>;

  /** Resolves when the guest has answered for the first time. */
  static async connect(options: ChannelOptions, signal: AbortSignal): Promise<LastingChannel> {
    return new LastingChannel(options, await AgentChannel.connect(options, signal));
  }

  private constructor(options: ChannelOptions, first: AgentChannel) {
    // The guest has changed over to the next secret, and keeps it.
    this.#options = { ...options, secret: options.nextSecret };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#close = resolve;
    this.#adopt(first);
    this.#current = Promise.resolve(first);
  }

  /** Like `AgentChannel.request`. Throws `unavailable` when the agent stays away. */
  async request(request: GuestRequest, signal: AbortSignal): Promise<GuestAnswer> {
    return await (await this.#open(signal)).request(request, signal);
  }

  /** Like `AgentChannel.connectPort`. Throws `unavailable` when the agent stays away. */
  async connectPort(port: number, signal: AbortSignal): Promise<Duplex> {
    return await (await this.#open(signal)).connectPort(port, signal);
  }

  /** Ends the channel and all that goes on over it; resolves when its socket is closed. */
  async close(): Promise<void> {
    this.destroy(new Failure("cancelled", "the channel to the guest was closed"));
    await this.closed;
  }

  destroy(reason: Error): void {
    this.#end.abort(Failure.from(reason));
    this.#session?.channel.destroy(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #open(signal: AbortSignal): Promise<AgentChannel> {
    using patience = deadline(this.#options.clock, waitMsMax, "the wait for the agent in the guest", signal);
    for (;;) {
      const channel = await abortable(this.#current, patience.signal);
      if (channel.isOpen) return channel;
      this.#renew(channel);
    }
  }

  #adopt(channel: AgentChannel): AgentChannel {
    this.#session = { channel, beganAt: this.#options.clock.monotonic() };
    void channel.closed.then(() => this.#renew(channel));
    if (this.#end.signal.aborted) channel.destroy(this.#end.signal.reason as Error);
    return channel;
  }

  /** Whoever notices first that a session has ended looks for the next one. */
  #renew(ended: AgentChannel): void {
    const { clock, logger, path } = this.#options;
    if (this.#session?.channel !== ended) return;
    const lastedMs = Math.round(clock.monotonic() - this.#session.beganAt);
    this.#session = undefined;
    if (!this.#end.signal.aborted)
      logger.info({ channel: path, lastedMs }, "the session with an agent ended");
    const next = this.#reconnect(lastedMs < shortSessionMs ? pauseMs : 0);
    this.#current = next.then((channel) => this.#adopt(channel));
    this.#current.catch(this.#close);
  }

  async #reconnect(afterMs: number): Promise<AgentChannel> {
    const { clock } = this.#options;
    const { signal } = this.#end;
    if (afterMs > 0) await clock.sleep(afterMs, signal);
    for (let tries = 1; ; tries++) {
      const began = clock.monotonic();
      try {
        return await AgentChannel.connect(this.#options, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (clock.monotonic() - began > pauseMs) tries = 0; // There was somebody.
        if (tries >= triesMax) {
          throw new Failure("unavailable", "the guest's port is not there any more", { cause: error });
        }
        await clock.sleep(pauseMs, signal);
      }
    }
  }
}
