import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { GuestBytes } from "../guest-bytes.ts";

/** The memory of a guest program that is a process of this host; counts what is moved. */
export class ProcessBytes implements GuestBytes {
  /** Whether its memory can be moved at once. */
  isReady = true;
  readBytes = 0;
  writtenBytes = 0;
  readonly #fd: number;

  constructor(pid: number) {
    this.#fd = openSync(`/proc/${pid}/mem`, "r+");
  }

  async isAtHand(): Promise<boolean> {
    return this.isReady;
  }

  readNow(address: number, into: Uint8Array): void {
    if (readSync(this.#fd, into, 0, into.length, address) !== into.length) throw new Error("it is gone");
    this.readBytes += into.length;
  }

  writeNow(address: number, bytes: Uint8Array): void {
    if (writeSync(this.#fd, bytes, 0, bytes.length, address) !== bytes.length) throw new Error("it is gone");
    this.writtenBytes += bytes.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    closeSync(this.#fd);
  }
}
