import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { readWhole } from "./shared-image-device.ts";
import type { FilePart, Sink } from "./sink.ts";
import { descriptorOf, sendFileNow, sendNow, untaken, widenSocket } from "./socket-calls.ts";

/** Either bytes or a stretch of a file that wait for room in the socket. */
interface Waiting {
  bytes: Buffer | undefined;
  part: FilePart | undefined;
  readonly taken: () => void;
}

export interface DirectSinkOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  /** Told when a file cannot be read in the middle of a reply: nothing sensible can follow. */
  readonly onBroken: (failure: Failure) => void;
}

/** Replies on their way to one client, as the kernel counts them: two or three of the largest usual ones. */
const socketBytes = 1024 * 1024;
/** What is read of a file to be lent to the stream, to learn when there is room again. */
const scoutBytes = 4096;
/** How often it is looked whether a client has taken what was sent, when somebody waits for that, at least. */
const lookMsMax = 50;

/**
 * Sends to a client's socket by system calls of its own: a stretch of a file goes out without a copy. When the socket
 * is full, the next bytes are lent to its stream, which knows how to wait; when it took them, there is room again.
 */
export class DirectSink implements Sink {
  readonly #o: DirectSinkOptions;
  readonly #descriptor: number;
  readonly #queue: Waiting[] = [];
  #lent = false;
  /** How many want nothing more to be sent until the client has taken what was. */
  #held = 0;
  #sentFiles = false;
  #onIdle: (() => void)[] = [];

  constructor(options: DirectSinkOptions) {
    this.#o = options;
    this.#descriptor = descriptorOf(options.socket);
    widenSocket(this.#descriptor, socketBytes);
    options.socket.once("close", () => this.#drop());
  }

  write(bytes: Buffer, taken: () => void): void {
    const sent = this.#isFree ? sendNow(this.#descriptor, bytes) : 0;
    if (sent === bytes.length) return taken();
    this.#queue.push({ bytes: sent === 0 ? bytes : bytes.subarray(sent), part: undefined, taken });
    this.#pump();
  }

  readonly writeFile = (part: FilePart, taken: () => void): void => {
    this.#queue.push({ bytes: undefined, part, taken });
    this.#pump();
  };

  gather(): void {}

  async idle(): Promise<void> {
    if (this.#queue.length === 0 && !this.#lent) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /**
   * Resolves when no page of a file that was given to this sink so far is needed any more: what waits here is copied
   * now, what the socket holds is waited for, however long the client takes: it would see what becomes of the pages.
   */
  async letGoOfFiles(): Promise<void> {
    this.#held += 1;
    for (const waiting of this.#queue) {
      if (waiting.part === undefined) continue;
      const { part } = waiting;
      waiting.bytes = this.#guarded(() => readPart(part, part.bytes));
      waiting.part = undefined;
    }
    const { clock, socket } = this.#o;
    const never = new AbortController().signal;
    for (let ms = 1; this.#sentFiles && !socket.destroyed; ms = Math.min(lookMsMax, 2 * ms)) {
      if (untaken(this.#descriptor) === 0) this.#sentFiles = false;
      else await clock.sleep(ms, never);
    }
    this.#held -= 1;
    this.#pump();
  }

  get #isFree(): boolean {
    return this.#queue.length === 0 && !this.#lent && this.#held === 0 && !this.#o.socket.destroyed;
  }

  /** Sends from the front of the queue until it is empty or the socket full. */
  #pump(): void {
    while (!this.#lent && this.#held === 0) {
      const first = this.#queue[0];
      if (first === undefined) break;
      if (this.#o.socket.destroyed) return this.#drop(); // its descriptor may be somebody else's by now
      if (first.part !== undefined) this.#pumpFile(first, first.part);
      else this.#lend(first.bytes ?? Buffer.alloc(0), this.#queue.shift()?.taken);
    }
    if (this.#queue.length === 0 && !this.#lent) for (const tell of this.#onIdle.splice(0)) tell();
  }

  #pumpFile(waiting: Waiting, part: FilePart): void {
    this.#sentFiles = true;
    const sent = this.#guarded(() =>
      sendFileNow(this.#descriptor, part.descriptor, part.position, part.bytes),
    );
    if (sent === undefined) return;
    if (sent > 0) return this.#advance(waiting, part, sent);
    const scout = this.#guarded(() => readPart(part, Math.min(scoutBytes, part.bytes)));
    if (scout === undefined) return;
    this.#lend(scout, undefined);
    this.#advance(waiting, part, scout.length);
  }

  #advance(waiting: Waiting, { descriptor, position, bytes }: FilePart, done: number): void {
    if (done < bytes) waiting.part = { descriptor, position: position + done, bytes: bytes - done };
    else this.#queue.shift()?.taken();
  }

  #lend(bytes: Buffer, taken: (() => void) | undefined): void {
    this.#lent = true;
    this.#o.socket.write(bytes, () => {
      this.#lent = false;
      taken?.();
      this.#pump();
    });
  }

  /** Runs what reads a file; a file that cannot be read breaks the connection off. */
  #guarded<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      this.#o.onBroken(Failure.from(error));
      this.#drop();
      return undefined;
    }
  }

  #drop(): void {
    for (const { taken } of this.#queue.splice(0)) taken();
    for (const tell of this.#onIdle.splice(0)) tell();
  }
}

function readPart({ descriptor, position }: FilePart, bytes: number): Buffer {
  const read = Buffer.allocUnsafeSlow(bytes);
  readWhole(descriptor, read, 0, bytes, position);
  return read;
}
