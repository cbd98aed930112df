import { Failure } from "../../base/failure.ts";
import type { FromWorker, PlainFailure } from "./messages.ts";

interface Waiting {
  readonly into: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/** Reads that this thread cannot answer: the main thread, where the cache lives, is asked for the bytes. */
export class ReadsElsewhere {
  readonly #post: (message: FromWorker) => void;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  /** How many reads are asked for is bounded by each connection. */
  async read(exportId: number, offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const key = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.set(key, { into, resolve, reject });
    const forget = () => {
      this.#waiting.delete(key);
      this.#post({ type: "forget", key });
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", forget, { once: true });
    this.#post({ type: "read", export: exportId, key, offset, bytes: into.length });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", forget);
    }
  }

  /** An answer that comes after its reader has left is dropped. */
  answer(key: number, bytes: Uint8Array): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    this.#waiting.delete(key);
    waiting.into.set(bytes);
    waiting.resolve();
  }

  fail(key: number, { code, message }: PlainFailure): void {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    waiting?.reject(new Failure(code, message));
  }
}
