import type { Writable } from "node:stream";

/** A stretch of an open file that is part of a reply. */
export interface FilePart {
  readonly descriptor: number;
  readonly position: number;
  readonly bytes: number;
}

/** Where replies go: to one client, in the order given. */
export interface Sink {
  /** `taken` is called once, when the kernel has the bytes or never will; perhaps before this returns. */
  write(bytes: Buffer, taken: () => void): void;
  /** The same for a stretch of a file. Without this a file's bytes must be read first. */
  readonly writeFile?: (part: FilePart, taken: () => void) => void;
  /** What is written until the end of this turn of the loop may leave together. */
  gather(): void;
  /** Resolves when nothing waits here any more; what waits in the socket itself is not waited for. */
  idle(): Promise<void>;
}

/** A sink over any stream. */
export class StreamSink implements Sink {
  readonly #socket: Writable;

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  write(bytes: Buffer, taken: () => void): void {
    this.#socket.write(bytes, taken);
  }

  gather(): void {
    this.#socket.cork();
    process.nextTick(() => this.#socket.uncork());
  }

  async idle(): Promise<void> {}
}
