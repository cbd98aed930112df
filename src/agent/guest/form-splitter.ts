/** Of the fields before a part's content. */
const headBytesMax = 16 * 1024;

const endOfHead = Buffer.from("\r\n\r\n");

interface Step {
  readonly pieces: readonly FormPiece[];
  /** What was not looked at yet. */
  readonly left: Buffer;
  /** More bytes are needed to go on. */
  readonly isStuck: boolean;
}

export type FormPiece =
  | { readonly kind: "head"; readonly bytes: Buffer }
  | { readonly kind: "content"; readonly bytes: Buffer }
  /** Of a part. */
  | { readonly kind: "end" };

/**
 * Cuts a multipart body (RFC 2046, 5.1.1) into heads and contents. It looks for delimiters with the engine's own
 * search: a parser that looks at each byte takes an emulated processor longer than all else that is done with a file.
 */
export class FormSplitter {
  readonly #delimiter: Buffer;
  #state: "preamble" | "delimiter" | "head" | "content" | "complete" = "preamble";
  /** What cannot be told yet: shorter than a delimiter, or a head that has not ended. */
  #rest: Buffer = Buffer.from("\r\n");

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  }

  get isComplete(): boolean {
    return this.#state === "complete";
  }

  /** Contents are parts of `bytes`, but for a few bytes at their borders. Throws for a head that does not end. */
  *push(bytes: Buffer): Generator<FormPiece> {
    let left = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (let isStuck = false; !isStuck; ) {
      const next = this.#step(left);
      yield* next.pieces;
      ({ left, isStuck } = next);
    }
    this.#rest = Buffer.from(left);
  }

  #step(left: Buffer): Step {
    switch (this.#state) {
      case "preamble":
      case "content":
        return this.#toDelimiter(left);
      case "delimiter":
        return this.#afterDelimiter(left);
      case "head":
        return this.#toContent(left);
      case "complete":
        return { pieces: [], left: Buffer.alloc(0), isStuck: true };
    }
  }

  #toDelimiter(left: Buffer): Step {
    const at = left.indexOf(this.#delimiter);
    const end = at === -1 ? this.#certainBytes(left) : at;
    const isContent = this.#state === "content";
    const pieces: FormPiece[] =
      isContent && end > 0 ? [{ kind: "content", bytes: left.subarray(0, end) }] : [];
    if (at === -1) return { pieces, left: left.subarray(end), isStuck: true };
    if (isContent) pieces.push({ kind: "end" });
    this.#state = "delimiter";
    return { pieces, left: left.subarray(at + this.#delimiter.length), isStuck: false };
  }

  /** How many bytes no delimiter can begin in. */
  #certainBytes(left: Buffer): number {
    const from = Math.max(0, left.length - this.#delimiter.length + 1);
    const at = left.indexOf(13, from);
    return at === -1 ? left.length : at;
  }

  /** Either two hyphens, which end the form, or blanks to the end of the line. */
  #afterDelimiter(left: Buffer): Step {
    if (left.length >= 2 && left.toString("latin1", 0, 2) === "--") {
      this.#state = "complete";
      return { pieces: [], left: Buffer.alloc(0), isStuck: true };
    }
    const at = left.indexOf("\r\n");
    if (at === -1) {
      if (left.length > headBytesMax) throw new Error("a boundary's line does not end");
      return { pieces: [], left, isStuck: true };
    }
    this.#state = "head";
    return { pieces: [], left: left.subarray(at), isStuck: false }; // An empty head ends at once.
  }

  /** `left` begins with the end of the delimiter's line. */
  #toContent(left: Buffer): Step {
    const at = left.indexOf(endOfHead);
    if (at === -1 ? left.length > headBytesMax : at > headBytesMax)
      throw new Error("a part's head is too large");
    if (at === -1) return { pieces: [], left, isStuck: true };
    this.#state = "content";
    const head = Buffer.from(left.subarray(Math.min(2, at), at));
    return {
      pieces: [{ kind: "head", bytes: head }],
      left: left.subarray(at + endOfHead.length),
      isStuck: false,
    };
  }
}
