import { connect, type Socket } from "node:net";
import { abortable } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";

/** Longest line that a VMM may send, in bytes. */
const lineBytesMax = 1 << 20;
/** Commands that may wait for their answers. */
const pendingMax = 64;

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Failure) => void;
}

/** Talks to a VMM (QEMU Machine Protocol): one JSON object a line, answers matched by id. */
export class QmpClient {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: (event: QmpEvent) => void;
  #commands = 0;
  #held = "";
  #broken: Failure | undefined;

  private constructor(socket: Socket, onEvent: (event: QmpEvent) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("error", () => {}); // told by "close"
    socket.on("close", () => this.destroy(new Failure("unavailable", "the VMM closed its control socket")));
  }

  /** Connects to a socket that is there already, and is ready for commands when it resolves. */
  static async connect(
    path: string,
    onEvent: (event: QmpEvent) => void,
    signal: AbortSignal,
  ): Promise<QmpClient> {
    const socket = connect(path);
    try {
      await abortable(
        new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject)),
        signal,
      );
      const client = new QmpClient(socket, onEvent);
      await client.execute("qmp_capabilities", {}, signal);
      return client;
    } catch (error) {
      socket.destroy();
      throw Failure.from(error, "the VMM's control socket could not be reached");
    }
  }

  /** Throws `internal` with the VMM's own words when it refuses, `unavailable` when it is gone. */
  async execute(command: string, args: object, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#pending.size >= pendingMax)
      throw new Failure("exhausted", `${pendingMax} commands wait for the VMM`);
    const id = ++this.#commands;
    const answer = new Promise<unknown>((resolve, reject) =>
      this.#pending.set(id, { command, resolve, reject }),
    );
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
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

  #receive(text: string): void {
    const lines = (this.#held + text).split("\n");
    this.#held = lines.pop() ?? "";
    if (this.#held.length > lineBytesMax)
      return this.destroy(new Failure("corrupt", "the VMM sent an endless line"));
    for (const line of lines) if (line.trim() !== "") this.#understand(line);
  }

  #understand(line: string): void {
    const message = parseObject(line);
    if (message === undefined) return this.destroy(new Failure("corrupt", "the VMM sent what is no JSON"));
    if (typeof message["event"] === "string") return this.#onEvent(message as unknown as QmpEvent);
    const pending = this.#pending.get(Number(message["id"]));
    if (pending === undefined) return; // the greeting, or an answer that nobody waits for any more
    this.#pending.delete(Number(message["id"]));
    if (!("error" in message)) return pending.resolve(message["return"]);
    const { desc } = message["error"] as { desc?: string };
    pending.reject(new Failure("internal", `the VMM refused ${pending.command}: ${desc}`));
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
