import { randomBytes } from "node:crypto";

/** Randomness as a dependency. Secrets need `bytes`; jitter is content with `fraction`. */
export interface Random {
  /** A number in [0, 1). Not for secrets. */
  fraction(): number;
  /** `count` bytes that nobody can guess. */
  bytes(count: number): Buffer;
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  bytes: (count) => randomBytes(count),
};
