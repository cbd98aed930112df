import { Failure } from "../base/failure.ts";

/** Those who map one inode of a memfile. When it is retired they are told, and its bytes count until they end. */
export class Mappers {
  readonly #holders = new Set<object>();
  readonly #retiring = new AbortController();
  #onUnmapped: () => void = () => {};

  /** Aborts when the file that is mapped was found to be bad (C28). */
  get retired(): AbortSignal {
    return this.#retiring.signal;
  }

  add(holder: object): void {
    this.#holders.add(holder);
  }

  delete(holder: object): void {
    if (this.#holders.delete(holder) && this.#holders.size === 0) this.#onUnmapped();
  }

  /** The inode was unlinked; `onUnmapped` is called once nobody maps it any more. */
  retire(what: string, onUnmapped: () => void): void {
    if (this.#holders.size === 0) onUnmapped();
    else this.#onUnmapped = onUnmapped;
    this.#retiring.abort(new Failure("corrupt", `${what} was found to be damaged and is made anew`));
  }
}
