/**
 * Whether a file is sealed: never written any more, because somebody may have it mapped (C28).
 *
 *   open ──seal──▶ bound ──told──▶ sealed ──retire──▶ being replaced ──▶ open, as another inode
 *                    └────────────retire─────────────────▲
 */
export class FileSeal {
  #isSealed: boolean;
  #isBound: boolean;
  #retiring: Promise<void> | undefined;
  #retirements = 0;

  /** A file that was sealed in a former life is bound; it is sealed if it is whole and verified. */
  constructor(wasSealed: boolean, isWhole: () => boolean) {
    this.#isBound = wasSealed;
    this.#isSealed = wasSealed && isWhole();
  }

  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** All of it has to go when a part of it is bad: it is sealed, or may be said to be. */
  get isBound(): boolean {
    return this.#isBound || this.#retiring !== undefined;
  }

  /**
   * Seals a file that is whole; `tell` makes that known. It is bound from this call on: one with a hole must never be
   * told of. False when it was retired meanwhile.
   */
  async seal(protect: () => Promise<void>, tell: () => Promise<void>): Promise<boolean> {
    const retirements = this.#retirements;
    const isRetired = () => this.#retirements !== retirements;
    this.#isBound = true;
    try {
      await protect();
      if (!isRetired()) await tell();
    } catch (error) {
      if (!isRetired()) throw error;
    }
    if (isRetired()) return false;
    this.#isSealed = true;
    return true;
  }

  /** Puts another file in its place, once for all who want that. */
  retire(replace: () => Promise<void>): Promise<void> {
    this.#retiring ??= this.#retire(replace).finally(() => {
      this.#retiring = undefined;
    });
    return this.#retiring;
  }

  /** Resolves when it is not being replaced, whatever came of that. */
  async settled(): Promise<void> {
    await this.#retiring?.catch(() => {});
  }

  async #retire(replace: () => Promise<void>): Promise<void> {
    this.#retirements += 1;
    this.#isSealed = false;
    await replace();
    this.#isBound = false;
  }
}
