import { Failure } from "../../base/failure.ts";
import type { Connection, Exchange } from "./connection.ts";

/** An answer whose body is still to be read. To dispose of it before its end closes the connection. */
export class HttpResponse implements Disposable {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly #connection: Connection;
  readonly #reader: Exchange["reader"];
  readonly #pass: Disposable;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;

  constructor(connection: Connection, { head, reader }: Exchange, pass: Disposable, signal: AbortSignal) {
    this.status = head.status;
    this.headers = head.headers;
    this.#connection = connection;
    this.#reader = reader;
    this.#pass = pass;
    this.#signal = signal;
    this.#onAbort = () => this.#leave(signal.reason as Error);
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  /** The next bytes of the body, the caller's until it asks again; undefined after the last ones. */
  next(): Promise<Uint8Array | undefined> {
    return this.#reader.next();
  }

  /** The whole body, if it is no longer than `bytesMax`; else `unavailable`: such an answer was not asked for. */
  async text(bytesMax: number): Promise<string> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for (let piece = await this.next(); piece !== undefined; piece = await this.next()) {
      bytes += piece.length;
      if (bytes > bytesMax) throw new Failure("unavailable", `an answer is longer than ${bytesMax} bytes`);
      pieces.push(Uint8Array.from(piece));
    }
    return Buffer.concat(pieces, bytes).toString();
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#leave(new Failure("cancelled", "the answer was not read to its end"));
    this.#pass[Symbol.dispose]();
  }

  #leave(reason: Error): void {
    if (!this.#reader.ended) this.#connection.destroy(reason);
    this.#reader.fail(reason);
  }
}
