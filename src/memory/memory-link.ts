import type { Socket } from "node:net";
import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { FrameReader } from "../build/frame-reader.ts";
import {
  encodeFrame,
  type FaultNews,
  type Frame,
  frameKind,
  parseFaultNews,
  parseHello,
  readFrame,
} from "./wire.ts";

export interface MemoryLinkOptions {
  /** Connected to the server. */
  readonly socket: Socket;
  readonly build: string;
  readonly clock: Clock;
  /** The bytes of a chunk, verified. */
  readonly read: (chunk: number, signal: AbortSignal) => Promise<Uint8Array>;
  readonly onNews: (chunk: number, news: FaultNews) => void;
  /** A machine reads a chunk, for the first time that any does. */
  readonly onTouch: (chunk: number) => void;
  /** Every read of a page that the kernel does not have yet, from a server that was asked to tell them. */
  readonly onPage?: (page: number) => void;
  /** A chunk could not be had; it is tried again, as long as it is wanted. */
  readonly onTrouble: (failure: Failure) => void;
}

/** Pauses before a chunk that could not be had is tried again. */
const pauseMsFirst = 250;
const pauseMsMax = 2_000;

/** The daemon's side of the conversation with the process that serves a memory file: brings what is wanted. */
export class MemoryLink {
  readonly #options: MemoryLinkOptions;
  readonly #over = new AbortController();
  readonly #closed = Promise.withResolvers<void>();
  readonly #lost = Promise.withResolvers<void>();
  readonly #wanted = new Set<number>();

  private constructor(options: MemoryLinkOptions, reader: FrameReader) {
    this.#options = options;
    options.socket.on("error", ignore);
    options.socket.on("close", () => this.#onClose());
    void this.#hear(reader).catch(() => options.socket.destroy());
  }

  /** Throws `conflict` when the server serves another build, `corrupt` when it is none. */
  static async greet(options: MemoryLinkOptions, signal: AbortSignal): Promise<MemoryLink> {
    const reader = new FrameReader(options.socket, "the memory server's socket");
    const hello = await abortable(readFrame(reader), signal);
    const { build } = parseHello(hello);
    if (hello.kind !== frameKind.hello || build !== options.build)
      throw new Failure("conflict", `it serves build ${build}`);
    return new MemoryLink(options, reader);
  }

  /** Resolves when the conversation is over, and nobody here has ended it. */
  get lost(): Promise<void> {
    return this.#lost.promise;
  }

  /** Asks the server to end; resolves when it has. */
  end(): Promise<void> {
    this.#over.abort(new Failure("cancelled", "the memory is served no more"));
    this.#options.socket.write(encodeFrame(frameKind.end, 0));
    return this.#closed.promise;
  }

  /** Hangs up; the server goes on. */
  leave(): void {
    this.#over.abort(new Failure("cancelled", "the memory is left to its server"));
    this.#options.socket.destroy();
  }

  #onClose(): void {
    if (!this.#over.signal.aborted) this.#lost.resolve();
    this.#over.abort(new Failure("cancelled", "the memory is served no more"));
    this.#closed.resolve();
  }

  async #hear(reader: FrameReader): Promise<void> {
    for (;;) this.#take(await readFrame(reader));
  }

  #take(frame: Frame): void {
    const { chunk, kind } = frame;
    if (kind === frameKind.fault) this.#options.onNews(chunk, parseFaultNews(frame));
    if (kind === frameKind.touched) this.#options.onTouch(chunk);
    if (kind === frameKind.page) this.#options.onPage?.(chunk);
    if (kind !== frameKind.want || this.#wanted.has(chunk)) return;
    this.#wanted.add(chunk);
    void this.#bring(chunk)
      .catch(ignore) // it is not wanted any more
      .finally(() => this.#wanted.delete(chunk));
  }

  async #bring(chunk: number): Promise<void> {
    const { clock, onTrouble, read, socket } = this.#options;
    const { signal } = this.#over;
    for (let pauseMs = pauseMsFirst; ; pauseMs = Math.min(2 * pauseMs, pauseMsMax)) {
      try {
        const bytes = await read(chunk, signal);
        signal.throwIfAborted();
        return void socket.write(encodeFrame(frameKind.chunk, chunk, bytes));
      } catch (error) {
        signal.throwIfAborted();
        onTrouble(Failure.from(error));
      }
      await clock.sleep(pauseMs, signal);
    }
  }
}
