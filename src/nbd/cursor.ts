import { Failure } from "../base/failure.ts";
import { stringBytesMax } from "./protocol.ts";

/** Reads a payload from front to back. Throws `invalid` when it ends early, or is not at its end when it should be. */
export class Cursor {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  /** `what` names the payload in a complaint. */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  u16(): number {
    return this.#take(2).readUInt16BE(0);
  }

  u32(): number {
    return this.#take(4).readUInt32BE(0);
  }

  /** A string of UTF-8 behind its length. */
  text(): string {
    const count = this.u32();
    if (count > stringBytesMax) {
      throw new Failure(
        "invalid",
        `${this.#what}: a string of ${count} bytes, ${stringBytesMax} are allowed`,
      );
    }
    return this.#take(count).toString("utf8");
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  end(): void {
    if (this.left > 0) throw new Failure("invalid", `${this.#what}: ${this.left} bytes too many`);
  }

  #take(count: number): Buffer {
    if (count > this.left) {
      throw new Failure("invalid", `${this.#what}: ends ${count - this.left} bytes too early`);
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}
