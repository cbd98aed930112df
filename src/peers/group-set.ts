import { Failure } from "../base/failure.ts";
import { chunkBytes } from "../build/artifact.ts";
import { indexLimits } from "../build/index-rules.ts";
import { groupChunks } from "./rendezvous.ts";

/** Groups in the largest artifact that there may be. */
const groupsMax = indexLimits.deviceBytesMax / chunkBytes / groupChunks;

/** Some groups of an artifact, as one node tells another: a bit each, base64. */
export class GroupSet {
  readonly #bits: Buffer;

  private constructor(bits: Buffer) {
    this.#bits = bits;
  }

  static of(groups: Iterable<number>): GroupSet {
    const numbers = [...groups];
    const last = numbers.reduce((most, group) => Math.max(most, group), -1);
    const bits = Buffer.alloc(Math.ceil((last + 1) / 8));
    for (const group of numbers) bits[group >> 3] = (bits[group >> 3] ?? 0) | (1 << (group & 7));
    return new GroupSet(bits);
  }

  /** Throws `corrupt` for more groups than there can be. */
  static decode(text: string): GroupSet {
    const bits = Buffer.from(text, "base64");
    if (bits.length * 8 > groupsMax) throw new Failure("corrupt", `a set of ${bits.length * 8} groups`);
    return new GroupSet(bits);
  }

  encode(): string {
    return this.#bits.toString("base64");
  }

  has(group: number): boolean {
    return ((this.#bits[group >> 3] ?? 0) & (1 << (group & 7))) !== 0;
  }
}

/** Longest text of a set. */
export const groupSetTextMax = Math.ceil(groupsMax / 8 / 3) * 4;
