import { noHttp } from "./response-head.ts";

/** Longest line between two chunks, in bytes; trailers are read and ignored. */
const lineBytesMax = 1024;
const trailersMax = 32;

/**
 * Takes the chunked coding of HTTP/1.1 off a body (RFC 9112, section 7.1).
 *
 *   size ──▶ data ──▶ gap ──▶ size …
 *     └─(0)─▶ trailer ──(empty line)──▶ end
 */
export class ChunkedDecoder {
  #state: "size" | "data" | "gap" | "trailer" | "end" = "size";
  #line = "";
  #left = 0;
  #trailers = 0;

  get done(): boolean {
    return this.#state === "end";
  }

  /** The data in `bytes`, as parts of it. Throws `unavailable` when the coding is broken, or goes on after its end. */
  *decode(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === "data") {
        const piece = bytes.subarray(at, at + this.#left);
        at += piece.length;
        this.#left -= piece.length;
        if (this.#left === 0) this.#state = "gap";
        yield piece;
      } else if (this.#state === "end") {
        throw noHttp("it goes on after its end");
      } else {
        this.#take(bytes[at] ?? 0);
        at += 1;
      }
    }
  }

  #take(byte: number): void {
    if (byte !== 0x0a) {
      if (this.#line.length >= lineBytesMax) throw noHttp("a chunk of its body has too long a head");
      this.#line += String.fromCharCode(byte);
      return;
    }
    const line = this.#line.replace(/\r$/, "");
    this.#line = "";
    if (this.#state === "size") this.#begin(line);
    else if (this.#state === "gap") this.#expectNothing(line);
    else this.#endTrailer(line);
  }

  #begin(line: string): void {
    const size = /^([0-9a-f]{1,12})\s*(?:;|$)/i.exec(line)?.[1];
    if (size === undefined) throw noHttp("a chunk of its body has no length");
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailer" : "data";
  }

  #expectNothing(line: string): void {
    if (line !== "") throw noHttp("a chunk of its body is longer than it said");
    this.#state = "size";
  }

  #endTrailer(line: string): void {
    this.#trailers += 1;
    if (this.#trailers > trailersMax) throw noHttp("it has too many trailers");
    if (line === "") this.#state = "end";
  }
}
