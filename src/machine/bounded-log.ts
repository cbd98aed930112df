import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
} from "node:fs";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";

export interface BoundedLogOptions {
  /** How large the file may be at the times when it is looked at, in bytes; then it is emptied. */
  readonly bytesMax: number;
  readonly clock: Clock;
  /** Who may write to it by its name, too. */
  readonly uid?: number | undefined;
}

/** How often the size is looked at. What writes here writes slowly: a VMM's complaints, a serial line. */
const lookEveryMs = 5000;
/** How much of the end survives when the file is emptied, in bytes. */
const keptBytes = 8192;

/**
 * A file that others append to, and that never fills the disk. It is held by its descriptor from before they begin:
 * they may own the directory, so its name may come to mean another file.
 */
export class BoundedLog implements Disposable {
  readonly descriptor: number;
  readonly #options: BoundedLogOptions;
  #timer: Disposable;
  #before: Buffer = Buffer.alloc(0);
  #closed = false;

  private constructor(descriptor: number, options: BoundedLogOptions) {
    this.descriptor = descriptor;
    this.#options = options;
    this.#timer = this.#lookLater();
  }

  /** A new, empty file in the place of whatever was there. */
  static create(path: string, options: BoundedLogOptions): BoundedLog {
    rmSync(path, { force: true });
    const { O_RDWR, O_CREAT, O_EXCL, O_APPEND, O_NOFOLLOW } = constants;
    const descriptor = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0o600);
    if (options.uid !== undefined) fchownSync(descriptor, options.uid, options.uid);
    return new BoundedLog(descriptor, options);
  }

  /** The file that is there. Throws when there is none, or something that is no file. */
  static reopen(path: string, options: BoundedLogOptions): BoundedLog {
    const { O_RDWR, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
    const descriptor = openSync(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
    if (fstatSync(descriptor).isFile()) return new BoundedLog(descriptor, options);
    closeSync(descriptor);
    throw new Failure("invalid", `${path} is no file`);
  }

  /** The end of all that was written, at most `bytes` of it. Empty once this is disposed of. */
  tail(bytes: number): string {
    if (this.#closed) return "";
    return Buffer.concat([this.#before, this.#end(bytes)])
      .subarray(-bytes)
      .toString();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer[Symbol.dispose]();
    closeSync(this.descriptor);
  }

  #lookLater(): Disposable {
    return this.#options.clock.after(lookEveryMs, () => {
      if (fstatSync(this.descriptor).size > this.#options.bytesMax) {
        this.#before = this.#end(keptBytes);
        ftruncateSync(this.descriptor);
      }
      this.#timer = this.#lookLater();
    });
  }

  #end(bytes: number): Buffer {
    const { size } = fstatSync(this.descriptor);
    const from = Math.max(0, size - bytes);
    const buffer = Buffer.alloc(size - from);
    return buffer.subarray(0, readSync(this.descriptor, buffer, 0, buffer.length, from));
  }
}
