/** Pieces that are handed from one who gives to one who takes, one at a time. */
export class Handover<Piece, Result> {
  readonly #result: Promise<Result>;
  #piece: Piece | undefined;
  #ended = false;
  #failure: Error | undefined;
  #offered: () => void = () => {};
  #taken: () => void = () => {};

  /** `take` is called at once. It may hold a piece until it asks for the next. */
  constructor(take: (pieces: AsyncIterable<Piece>) => Promise<Result>) {
    this.#result = take(this.#pieces());
    this.#result.catch(() => {}); // Whoever gives is told.
  }

  /** Resolves when the next piece is asked for; rejects when the taker has failed. */
  async give(piece: Piece): Promise<void> {
    const taken = new Promise<void>((resolve) => (this.#taken = resolve));
    this.#piece = piece;
    this.#offered();
    await Promise.race([taken, this.#result]);
  }

  /** Resolves with what the taker has made of it. */
  async end(): Promise<Result> {
    this.#ended = true;
    this.#offered();
    return await this.#result;
  }

  /** Tells the taker that there will be no more; resolves when it has ended, however. */
  async fail(reason: Error): Promise<void> {
    this.#failure = reason;
    this.#offered();
    await this.#result.catch(() => {});
  }

  async *#pieces(): AsyncGenerator<Piece> {
    for (;;) {
      while (this.#piece === undefined && !this.#ended && this.#failure === undefined) {
        await new Promise<void>((resolve) => (this.#offered = resolve));
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#piece === undefined) return;
      yield this.#piece;
      this.#piece = undefined;
      this.#taken();
    }
  }
}
