import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { Failure } from "./failure.ts";

/** Operations of flock(2). */
const lockExclusive = 2;
const lockNonBlocking = 4;

type Flock = (descriptor: number, operation: number) => number;

/**
 * An exclusive lock that the kernel holds for this process and lets go when it ends, however it ends.
 * The file stays; what is in it says who holds the lock, for the message of whoever comes second.
 */
export class FileLock implements Disposable {
  readonly path: string;
  #descriptor: number | undefined;

  private constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  /** Throws `conflict`, naming the holder by what it wrote, when somebody else has it. */
  static take(path: string, holder: string): FileLock {
    const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      if (flock()(descriptor, lockExclusive | lockNonBlocking) !== 0) {
        const other = readFileSync(path, "utf8").slice(0, 200).trim();
        throw new Failure("conflict", `${path} is held by ${other === "" ? "another process" : other}`);
      }
      ftruncateSync(descriptor);
      writeSync(descriptor, holder, 0);
      return new FileLock(path, descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** Loaded when first needed: it costs tens of milliseconds of a start. */
function flock(): Flock {
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
  return koffi.load("libc.so.6").func("int flock(int descriptor, int operation)") as unknown as Flock;
}
