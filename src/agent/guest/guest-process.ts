import type { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import type { ProcessConfig } from "../protocol/generated/process_pb.js";
import { Broadcast, type Subscription } from "./broadcast.ts";
import { type Ended, endedBy } from "./exit-status.ts";
import type { Spawned } from "./spawn.ts";

export type ProcessOutput = { readonly kind: "stdout" | "stderr"; readonly bytes: Uint8Array };
export type ProcessEvent =
  | ProcessOutput
  | { readonly kind: "end"; readonly bytes?: undefined; readonly ended: Ended };

/** No event carries more than this. */
const outputBytesMax = 32 * 1024;
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
    const { stdin, stdout, stderr } = spawned;
    this.config = config;
    this.tag = tag;
    this.pid = spawned.pid;
    this.#spawned = spawned;
    this.#clock = clock;
    this.#broadcast = new Broadcast((on) => {
      for (const output of [stdout, stderr]) {
        if (on) output.resume();
        else output.pause();
      }
    });
    stdin?.on("error", () => {}); // The process does not read any more; whoever writes is told.
    this.finished = this.#follow(this.#outputEnd("stdout", stdout), this.#outputEnd("stderr", stderr));
  }

  subscribe(): Subscription<ProcessEvent> {
    return this.#broadcast.subscribe();
  }

  /** Resolves when the process has all of it in its pipe. */
  async write(bytes: Uint8Array): Promise<void> {
    const { stdin } = this.#spawned;
    if (stdin === undefined) throw new Failure("invalid", `process ${this.pid} was started without stdin`);
    if (!stdin.writable) throw new Failure("invalid", `the stdin of process ${this.pid} is closed`);
    if (stdin.writableLength + bytes.length > inputBytesMax) {
      throw new Failure(
        "exhausted",
        `process ${this.pid} reads too little of its input: ${inputBytesMax} bytes wait`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      stdin.write(bytes, (error) => {
        if (error == null) resolve();
        else reject(new Failure("invalid", `process ${this.pid} does not read its input`, { cause: error }));
      });
    });
  }

  closeStdin(): void {
    const { stdin } = this.#spawned;
    if (stdin === undefined) throw new Failure("invalid", `process ${this.pid} was started without stdin`);
    stdin.end();
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

  async #follow(...outputs: Promise<void>[]): Promise<void> {
    const { code, signal } = await this.#spawned.exited;
    const drained = Promise.all(outputs);
    await Promise.race([drained, this.#toldToEnd.promise.then(() => this.#grace(drained))]);
    const { stdin, stdout, stderr } = this.#spawned;
    for (const stream of [stdin, stdout, stderr]) stream?.destroy();
    this.ended = endedBy(code, signal);
    this.#broadcast.publish({ kind: "end", ended: this.ended });
  }

  async #grace(drained: Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#clock.after(drainMsMax, resolve);
    await Promise.race([promise, drained]);
  }

  async #outputEnd(kind: ProcessOutput["kind"], output: Socket): Promise<void> {
    output.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += outputBytesMax) {
        this.#broadcast.publish({ kind, bytes: bytes.subarray(at, at + outputBytesMax) });
      }
    });
    output.on("error", () => {}); // "close" follows.
    await new Promise<void>((resolve) => output.once("close", () => resolve()));
  }
}
