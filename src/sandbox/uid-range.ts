import { Failure } from "../base/failure.ts";

/** A user id on loan; it goes back when disposed of, once. */
export interface LentUid extends Disposable {
  readonly uid: number;
}

/**
 * User ids that belong to nobody else on the host, one for each sandbox's machine. Lent in turn, so that one that was
 * just given back is used again as late as possible.
 */
export class UidRange {
  readonly #first: number;
  readonly #count: number;
  readonly #lent = new Set<number>();
  #next = 0;

  constructor(first: number, count: number) {
    this.#first = first;
    this.#count = count;
  }

  get lent(): number {
    return this.#lent.size;
  }

  /** Throws `exhausted` when all are lent. */
  take(): LentUid {
    if (this.#lent.size >= this.#count)
      throw new Failure("exhausted", `all ${this.#count} user ids for sandboxes are in use`);
    while (this.#lent.has(this.#first + this.#next)) this.#next = (this.#next + 1) % this.#count;
    const uid = this.#first + this.#next;
    this.#next = (this.#next + 1) % this.#count;
    return this.#lend(uid);
  }

  /** The id of a machine that runs already. Throws `conflict` when another one has it. */
  retake(uid: number): LentUid {
    if (this.#lent.has(uid)) throw new Failure("conflict", `user id ${uid} is in use already`);
    return this.#lend(uid);
  }

  #lend(uid: number): LentUid {
    this.#lent.add(uid);
    let lent = true;
    return {
      uid,
      [Symbol.dispose]: () => {
        if (lent) this.#lent.delete(uid);
        lent = false;
      },
    };
  }
}
