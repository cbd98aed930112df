import { Duplex } from "node:stream";
import { SessionFinder } from "../protocol/preamble.ts";
import type { Port } from "./port.ts";

const bufferBytes = 256 * 1024;

/**
 * One session's view of the port: a stream that lives from one preamble to the next. Until it is attached, what is
 * written to it waits.
 * It never pauses the port: HTTP/2's windows bound what can arrive, and a port that is not read would miss preambles.
 */
export class PortLink extends Duplex {
  readonly #port: Port;
  readonly #finder = new SessionFinder();
  #attached = false;
  #waiting: { readonly bytes: Buffer; readonly done: () => void } | undefined;

  constructor(port: Port) {
    super({ readableHighWaterMark: bufferBytes, writableHighWaterMark: bufferBytes });
    this.#port = port;
    this.on("error", () => {}); // The session that is carried here ends, and the host begins a new one.
  }

  /** From now on the port is this link's; `head` goes out before anything that was written to it. */
  attach(head: Buffer): void {
    const { bytes, done } = this.#waiting ?? { bytes: Buffer.alloc(0), done: () => {} };
    this.#attached = true;
    this.#waiting = undefined;
    this.#port.write(Buffer.concat([head, bytes]), done);
  }

  /** Takes what was read from the port. */
  receive(bytes: Buffer): void {
    const session = this.destroyed ? undefined : this.#finder.push(bytes);
    if (session !== undefined) this.push(session);
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    if (this.#attached) this.#port.write(bytes, done);
    else this.#waiting = { bytes, done };
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer", done);
  }
}
