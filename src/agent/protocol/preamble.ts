import { hash } from "node:crypto";

/**
 * How both ends of a channel find the start of a session in a stream of bytes that may hold leftovers of older ones.
 *
 *   host → guest   secret (16)  nonce (16)  next secret (16)  check (16)
 *   guest → host   answer mark (16)  nonce (16)                        then HTTP/2, both ways
 *
 * The host repeats its preamble until it is answered; whatever stands before the answer is left over. All repetitions
 * bear the nonce of their connection: a guest that has answered it passes over those that come late. End-of-file is no
 * signal: a restored guest may see no disconnect at all. `check` is the start of SHA-256 over the three fields before
 * it: a preamble that was cut off in the middle must not lend its beginning to the next one.
 */
export const secretBytes = 16;
export const nonceBytes = 16;

const checkBytes = 16;
const preambleBytes = 2 * secretBytes + nonceBytes + checkBytes;
const answerMark = Buffer.from("9e1f6c3ab0d24785a7c95e02d8114f6b", "hex");

/** How every client's HTTP/2 session begins (RFC 9113, 3.4). What a guest reads before that is left over as well. */
const clientPreface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** The largest frame that a session allows unless it says otherwise, and the head of one (RFC 9113, 4.1 and 4.2). */
const framePayloadBytesMax = 16_384;
const frameHeadBytes = 9;

/**
 * What an agent says first when it has been started. If the one before it died in the middle of a session, this ends
 * what the host still reads as that session, wherever it stands: it fills any frame, and then is the head of one that
 * is larger than allowed.
 */
export function encodeStart(): Buffer {
  return Buffer.alloc(framePayloadBytesMax + frameHeadBytes, 0xff);
}

export interface Preamble {
  readonly nonce: Buffer;
  /** The secret that takes the old one's place once the new session is under way. */
  readonly nextSecret: Buffer;
}

export function encodePreamble(secret: Buffer, { nonce, nextSecret }: Preamble): Buffer {
  const fields = Buffer.concat([secret, nonce, nextSecret]);
  return Buffer.concat([fields, checkOf(fields)]);
}

export function encodeAnswer(nonce: Buffer): Buffer {
  return Buffer.concat([answerMark, nonce]);
}

function checkOf(fields: Buffer): Buffer {
  return hash("sha256", fields, "buffer").subarray(0, checkBytes);
}

export type Piece =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "preamble"; readonly preamble: Preamble };

/**
 * The guest's side: cuts what it reads into a session's bytes and preambles.
 *
 * Bytes are given out at once, also those that a preamble may begin with: if one does, the session that got them is
 * over anyway, and if not, a byte held back would be an answer that never comes.
 *
 * The secret serves until the session that a preamble asked for is confirmed; up to then both it and its successor
 * are accepted, because the host repeats itself as long as it has seen no answer. Afterwards only the successor is.
 */
export class PreambleSplitter {
  #secret: Buffer;
  #successor: Buffer | undefined;
  /** What was read last, too short to hold a preamble; it may hold the beginning of one. */
  #tail: Buffer = Buffer.alloc(0);

  /** `successor`: of a session that an agent before this one had begun and nobody has confirmed. */
  constructor(secret: Buffer, successor?: Buffer) {
    this.#secret = secret;
    this.#successor = successor;
  }

  get secret(): Buffer {
    return this.#secret;
  }

  get successor(): Buffer | undefined {
    return this.#successor;
  }

  /** The session that the last preamble asked for is under way: its secret replaces the one before. */
  confirm(): void {
    if (this.#successor !== undefined) this.#secret = this.#successor;
    this.#successor = undefined;
  }

  /** Takes what was read, in reads of any size. */
  push(read: Buffer): Piece[] {
    let seen = this.#tail.length === 0 ? read : Buffer.concat([this.#tail, read]);
    const pieces: Piece[] = [];
    for (let found = this.#find(seen); found !== undefined; found = this.#find(seen)) {
      pieces.push({ kind: "preamble", preamble: found.preamble });
      this.#successor = found.preamble.nextSecret;
      seen = seen.subarray(found.end);
    }
    const fresh = pieces.length === 0 ? read : seen;
    if (fresh.length > 0) pieces.push({ kind: "bytes", bytes: fresh });
    this.#tail = Buffer.from(seen.subarray(Math.max(0, seen.length - preambleBytes + 1)));
    return pieces;
  }

  #find(bytes: Buffer): { preamble: Preamble; end: number } | undefined {
    for (const secret of [this.#secret, this.#successor]) {
      if (secret === undefined) continue;
      for (let at = bytes.indexOf(secret); at !== -1; at = bytes.indexOf(secret, at + 1)) {
        const end = at + preambleBytes;
        const preamble = end > bytes.length ? undefined : decode(bytes.subarray(at, end));
        if (preamble !== undefined) return { preamble, end };
      }
    }
    return undefined;
  }
}

function decode(bytes: Buffer): Preamble | undefined {
  const fields = bytes.subarray(0, preambleBytes - checkBytes);
  if (!checkOf(fields).equals(bytes.subarray(preambleBytes - checkBytes))) return undefined;
  const nonce = Buffer.from(fields.subarray(secretBytes, secretBytes + nonceBytes));
  return { nonce, nextSecret: Buffer.from(fields.subarray(secretBytes + nonceBytes)) };
}

/** Drops all it reads before a mark. */
class Finder {
  readonly #mark: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(mark: Buffer) {
    this.#mark = mark;
  }

  /** What begins with the mark, as soon as all of the mark has been read. */
  push(read: Buffer): Buffer | undefined {
    const bytes = this.#held.length === 0 ? read : Buffer.concat([this.#held, read]);
    const at = bytes.indexOf(this.#mark);
    if (at !== -1) return bytes.subarray(at);
    this.#held = Buffer.from(bytes.subarray(Math.max(0, bytes.length - this.#mark.length + 1)));
    return undefined;
  }
}

/** The host's side: drops all it reads before the answer to its nonce. */
export class AnswerFinder {
  readonly #finder: Finder;
  readonly #answerBytes: number;

  constructor(nonce: Buffer) {
    const answer = encodeAnswer(nonce);
    this.#finder = new Finder(answer);
    this.#answerBytes = answer.length;
  }

  /** What follows the answer, as soon as all of the answer has been read. */
  push(read: Buffer): Buffer | undefined {
    return this.#finder.push(read)?.subarray(this.#answerBytes);
  }
}

/** The guest's side, after its answer: drops all it reads before the host's session begins. */
export class SessionFinder {
  readonly #finder = new Finder(clientPreface);
  #found = false;

  push(read: Buffer): Buffer | undefined {
    if (this.#found) return read;
    const session = this.#finder.push(read);
    this.#found = session !== undefined;
    return session;
  }
}
