import { Duplex } from "node:stream";
import type { Port } from "./port.ts";

const bufferBytes = 256 * 1024;

/**
 * One session's view of the port: a stream that lives from one preamble to the next.
 * It never pauses the port: HTTP/2's windows bound what can arrive, and a port that is not read would miss preambles.
 */
export class PortLink extends Duplex {
  readonly #port: Port;

  constructor(port: Port) {
    super({ readableHighWaterMark: bufferBytes, writableHighWaterMark: bufferBytes });
    this.#port = port;
    this.on("error", () => {}); // The session that is carried here ends, and the host begins a new one.
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#port.write(bytes, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#port.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }
}
