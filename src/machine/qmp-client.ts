import { connect, type Socket } from "node:net";
import { abortable } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import { printable } from "./printable.ts";

/** Longest line that a VMM may send, in characters. */
const lineCharactersMax = 1 << 20;
/** Commands that may wait for their answers, those included whose callers have gone. */
const pendingMax = 64;
/** How much of a VMM's refusal is repeated, in characters. */
const refusalCharactersMax = 500;

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface QmpOptions {
  /** Of a socket that is there already. */
  readonly path: string;
  readonly onEvent: (event: QmpEvent) => void;
  /** Asked once, when the VMM has hung up: its answer is what commands fail with. */
  readonly whyClosed?: () => Promise<Failure>;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Failure) => void;
}

/**
 * Talks to a VMM (QEMU Machine Protocol): one JSON object a line, answers matched by id. What the VMM says is not
 * trusted: a guest may have taken it over.
 */
export class QmpClient {
  readonly #socket: Socket;
  readonly #options: QmpOptions;
  readonly #pending = new Map<number, Pending>();
  #commands = 0;
  #held = "";
  #closing = false;
  #broken: Failure | undefined;

  private constructor(socket: Socket, options: QmpOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("error", () => {}); // told by "close"
    socket.on("close", () => void this.#onClose());
  }

  /**
   * Connects, and is ready for commands when it resolves. Throws `not_found` or `unavailable` when
   * nobody listens (yet).
   */
  static async connect(options: QmpOptions, signal: AbortSignal): Promise<QmpClient> {
    const socket = connect(options.path);
    const { promise: connected, resolve, reject } = Promise.withResolvers<void>();
    socket.once("connect", resolve).on("error", reject);
    try {
      await abortable(connected, signal);
      const client = new QmpClient(socket, options);
      await client.execute("qmp_capabilities", {}, signal);
      return client;
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      throw Failure.from(error, "the VMM's control socket cannot be reached");
    }
  }

  /**
   * Throws `internal` with the VMM's own words when it refuses, `unavailable` when it is gone. When the signal aborts,
   * only the wait ends: the VMM may carry the command out all the same.
   */
  async execute(command: string, args: object, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#pending.size >= pendingMax)
      throw new Failure("exhausted", `${pendingMax} commands wait for the VMM already`);
    const id = ++this.#commands;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { command, resolve, reject });
    });
    if (!this.#closing) this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return abortable(answer, signal);
  }

  /** Commands that wait fail with `reason`. May be called twice. */
  destroy(reason: Failure): void {
    if (this.#broken !== undefined) return;
    this.#broken = reason;
    this.#socket.destroy();
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
  }

  async #onClose(): Promise<void> {
    this.#closing = true;
    if (this.#broken !== undefined) return;
    const hungUp = new Failure("unavailable", "the VMM closed its control socket");
    const why = await this.#options.whyClosed?.().catch(() => hungUp);
    this.destroy(why ?? hungUp);
  }

  #receive(text: string): void {
    const lines = (this.#held + text).split("\n");
    this.#held = lines.pop() ?? "";
    if (this.#held.length > lineCharactersMax) {
      this.destroy(new Failure("corrupt", "the VMM sent an endless line"));
    }
    for (const line of lines) if (this.#broken === undefined && line.trim() !== "") this.#understand(line);
  }

  #understand(line: string): void {
    const message = parseObject(line);
    if (message === undefined) {
      return this.destroy(new Failure("corrupt", "the VMM sent what is not its protocol"));
    }
    const { event, data, id, error } = message;
    if (typeof event === "string") {
      return this.#options.onEvent({ event, ...(isObject(data) ? { data } : {}) });
    }
    const pending = typeof id === "number" ? this.#pending.get(id) : undefined;
    if (pending === undefined) return; // the greeting, or an answer to nothing that was asked
    this.#pending.delete(id as number);
    if (error === undefined) return pending.resolve(message["return"]);
    const words = isObject(error) && typeof error["desc"] === "string" ? error["desc"] : "no reason given";
    const refusal = printable(words, refusalCharactersMax);
    pending.reject(new Failure("internal", `the VMM refused ${pending.command}: ${refusal}`));
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
