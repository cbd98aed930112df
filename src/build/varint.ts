import { Failure } from "../base/failure.ts";

/** Writes unsigned integers up to 2^53 − 1, seven bits a byte, lowest first (LEB128). */
export class VarintWriter {
  readonly #bytes: number[] = [];

  write(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes.push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes.push(rest);
  }

  end(): Buffer {
    return Buffer.from(this.#bytes);
  }
}

/** Reads what a VarintWriter wrote. Throws `corrupt` for anything else. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  read(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new Failure("corrupt", "a number is cut off");
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value) || scale > 2 ** 49)
        throw new Failure("corrupt", "a number is too large");
      if (byte === 0 && scale > 1) throw new Failure("corrupt", "a number is longer than it need be");
      if (byte < 0x80) return value;
    }
  }
}
