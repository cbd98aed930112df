import type { Random } from "./random.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
/** Bytes from here on are thrown away, so that every letter is equally likely. */
const unfairFrom = 256 - (256 % alphabet.length);

/** `length` letters of [a-z0-9] that nobody can guess: 5.17 bits each. */
export function randomId(random: Random, length: number): string {
  let id = "";
  while (id.length < length) {
    for (const byte of random.bytes(length)) {
      if (byte < unfairFrom && id.length < length) id += alphabet[byte % alphabet.length];
    }
  }
  return id;
}
