import { Failure } from "../../src/base/failure.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { Bucket, ByteRange, ListOptions, PutFile, PutOptions } from "../../src/bucket/bucket.ts";
import { readWhole } from "../../src/cache/read-whole.ts";
import type { BucketContents } from "./bucket-contents.ts";
import type { ProcessClock } from "./simulated-clock.ts";
import type { ProcessDisk } from "./simulated-disk.ts";
import type { Weather } from "./simulated-sources.ts";

export interface SimulatedBucketOptions {
  readonly contents: BucketContents;
  readonly weather: Weather;
  readonly clock: ProcessClock;
  readonly disk: ProcessDisk;
  readonly random: SeededRandom;
}

/** The bucket as a process that publishes sees it: it stalls, refuses, and loses answers; all may end within. */
export class SimulatedBucket implements Bucket {
  readonly name = "simulated:";
  /** It takes nothing from this process. */
  refuses = false;
  readonly #options: SimulatedBucketOptions;

  constructor(options: SimulatedBucketOptions) {
    this.#options = options;
  }

  async head(key: string, signal: AbortSignal) {
    await this.#pass(signal);
    return this.#infoOf(key);
  }

  async *read(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array> {
    await this.#pass(signal);
    const { bytes } = this.#options.contents.get(key) ?? missing(key);
    const { offset, length } = range ?? { offset: 0, length: bytes.length };
    yield Uint8Array.from(bytes.subarray(offset, offset + length));
  }

  async put(key: string, body: Uint8Array | PutFile, { ifNoneMatch }: PutOptions, signal: AbortSignal) {
    const { contents, clock, disk } = this.#options;
    const bytes = body instanceof Uint8Array ? Buffer.from(body) : await readWhole(disk, body.path);
    await this.#pass(signal);
    if (this.refuses) throw new Failure("unavailable", "the bucket takes nothing");
    if (ifNoneMatch === "*" && contents.get(key) !== undefined)
      throw new Failure("conflict", `${key} exists already`);
    contents.put(key, { bytes, modifiedAt: clock.now() });
    await this.#pass(signal);
    return this.#infoOf(key);
  }

  async list(prefix: string, { limit }: ListOptions, signal: AbortSignal) {
    await this.#pass(signal);
    if (limit !== 1) throw new Failure("internal", "only single objects are listed in these worlds");
    const found = this.#options.contents.get(prefix);
    return { objects: found === undefined ? [] : [this.#infoOf(prefix)] };
  }

  async delete(): Promise<void> {
    throw new Failure("internal", "nothing is deleted in these worlds");
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #infoOf(key: string) {
    const { bytes, modifiedAt } = this.#options.contents.get(key) ?? missing(key);
    return { key, bytes: bytes.length, etag: key, modifiedAt };
  }

  /** A request, or the answer to it, on its way. */
  async #pass(signal: AbortSignal): Promise<void> {
    const { clock, random, weather } = this.#options;
    const isLate = random.fraction() < weather.faultRate;
    await clock.sleep(isLate && random.below(2) === 0 ? random.below(20_000) : random.below(30), signal);
    if (isLate && random.below(2) === 0) throw new Failure("unavailable", "a planned fault");
  }
}

function missing(key: string): never {
  throw new Failure("not_found", `the bucket holds no ${key}`);
}
