import type { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import type { ProcessConfig } from "../protocol/generated/process_pb.js";
import { Broadcast, type Subscription } from "./broadcast.ts";
import { type Ended, endedBy } from "./exit-status.ts";
import type { Output, Spawned } from "./spawn.ts";
import type { TerminalSize } from "./terminals.ts";

export type ProcessOutput = { readonly kind: Output["kind"]; readonly bytes: Uint8Array };
export type ProcessEvent =
  | ProcessOutput
  | { readonly kind: "end"; readonly bytes?: undefined; readonly ended: Ended };

/** No event carries more than this. */
const outputBytesMax = { stdout: 32 * 1024, stderr: 32 * 1024, pty: 16 * 1024 } as const;
/** What may wait to be read by a process that does not read its input. */
const inputBytesMax = 16 * 1024 * 1024;
/** After a process was told to end, what it has written is waited for no longer than this. */
const drainMsMax = 50;

/**
 * A process of a user. It lives as long as its program does, whoever listens.
 *
 *   running ── program exits, output is drained ──▶ ended
 *      └─ told to end ── program exits, output is drained or 50 ms later ──▶ ended
 */
export class GuestProcess {
  readonly config: ProcessConfig;
  readonly tag: string | undefined;
  readonly pid: number;
  /** Resolves when the end was published. */
  readonly finished: Promise<void>;
  ended: Ended | undefined;
  readonly #spawned: Spawned;
  readonly #clock: Clock;
  readonly #broadcast: Broadcast<ProcessEvent>;
  readonly #toldToEnd = Promise.withResolvers<void>();

  constructor(spawned: Spawned, config: ProcessConfig, tag: string | undefined, clock: Clock) {
    const { stdin, outputs } = spawned;
    this.config = config;
    this.tag = tag;
    this.pid = spawned.pid;
    this.#spawned = spawned;
    this.#clock = clock;
    this.#broadcast = new Broadcast((on) => {
      for (const { stream } of outputs) {
        if (on) stream.resume();
        else stream.pause();
      }
    });
    stdin?.on("error", () => {}); // The process does not read any more; whoever writes is told.
    this.finished = this.#follow(outputs.map((output) => this.#outputEnd(output)));
  }

  subscribe(): Subscription<ProcessEvent> {
    return this.#broadcast.subscribe();
  }

  /** Resolves when the process has all of it in its pipe, or in its terminal. */
  async write(kind: "stdin" | "pty", bytes: Uint8Array): Promise<void> {
    const input = kind === "pty" ? this.#terminal.stream : this.#stdin;
    if (!input.writable) throw new Failure("invalid", `the ${kind} of process ${this.pid} is closed`);
    if (input.writableLength + bytes.length > inputBytesMax) {
      throw new Failure(
        "exhausted",
        `process ${this.pid} reads too little of its input: ${inputBytesMax} bytes wait`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      input.write(bytes, (error) => {
        if (error == null) resolve();
        else reject(new Failure("invalid", `process ${this.pid} does not read its input`, { cause: error }));
      });
    });
  }

  closeStdin(): void {
    this.#stdin.end();
  }

  resize(size: TerminalSize): void {
    this.#terminal.resize(size);
  }

  /** Sends a signal to the process and to all that it started in its group. */
  signal(signal: "SIGKILL" | "SIGTERM"): void {
    this.#toldToEnd.resolve();
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // Else it has ended by itself.
    }
  }

  get #stdin(): Socket {
    const { stdin, terminal, isLeft } = this.#spawned;
    if (stdin !== undefined) return stdin;
    if (isLeft === true) {
      throw new Failure(
        "invalid",
        `the stdin of process ${this.pid} was closed when the agent was started again`,
      );
    }
    const why = terminal === undefined ? "was started without stdin" : "has a terminal: its input goes there";
    throw new Failure("invalid", `process ${this.pid} ${why}`);
  }

  get #terminal(): NonNullable<Spawned["terminal"]> {
    const { terminal } = this.#spawned;
    if (terminal === undefined) throw new Failure("invalid", `process ${this.pid} has no terminal`);
    return terminal;
  }

  async #follow(outputEnds: readonly Promise<void>[]): Promise<void> {
    const { stdin, outputs, exited } = this.#spawned;
    const { code, signal } = await exited;
    const drained = Promise.all(outputEnds);
    await Promise.race([drained, this.#toldToEnd.promise.then(() => this.#grace(drained))]);
    for (const stream of [stdin, ...outputs.map((output) => output.stream)]) stream?.destroy();
    this.ended = endedBy(code, signal);
    this.#broadcast.publish({ kind: "end", ended: this.ended });
  }

  async #grace(drained: Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#clock.after(drainMsMax, resolve);
    await Promise.race([promise, drained]);
  }

  async #outputEnd({ kind, stream }: Output): Promise<void> {
    const bytesMax = outputBytesMax[kind];
    stream.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += bytesMax) {
        this.#broadcast.publish({ kind, bytes: bytes.subarray(at, at + bytesMax) });
      }
    });
    stream.on("error", () => {}); // "close" follows; the end of a terminal reads as an error.
    await new Promise<void>((resolve) => stream.once("close", () => resolve()));
  }
}
