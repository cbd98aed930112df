import { Failure } from "../../src/base/failure.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { ChunkSource } from "../../src/build/chunk-source.ts";
import { keyOf, packKey } from "../../src/build/object-keys.ts";
import type { ObjectSource } from "../../src/build/object-source.ts";
import type { BucketContents } from "./bucket-contents.ts";
import type { Library } from "./library.ts";
import type { ProcessClock } from "./simulated-clock.ts";
import type { RequestWatch } from "./watch.ts";

/** How a source misbehaves; changed while a world goes on. */
export interface Weather {
  /** Probability that a request goes wrong in some way. */
  readonly faultRate: number;
}

/** What all nodes share. */
export interface Outside {
  readonly library: Library;
  readonly weather: Weather;
  readonly contents: BucketContents;
}

/** Objects come in pieces, as a network brings them. */
const pieceBytes = 16 * 1024;

/** A bucket that stalls, fails, loses, truncates and lies. */
export class SimulatedSources {
  readonly #library: Library;
  readonly #weather: Weather;
  readonly #clock: ProcessClock;
  readonly #random: SeededRandom;
  readonly #contents: BucketContents;

  constructor({ library, weather, contents }: Outside, clock: ProcessClock, random: SeededRandom) {
    this.#library = library;
    this.#weather = weather;
    this.#contents = contents;
    this.#clock = clock;
    this.#random = random;
  }

  chunks(watch: RequestWatch): ChunkSource {
    const [library, contents] = [this.#library, this.#contents];
    const fault = (signal: AbortSignal) => this.#fault(signal);
    return {
      name: "bucket",
      async *read(request, signal) {
        const { build, artifact, firstChunk, count } = request;
        watch.asks(request);
        if (contents.get(packKey(build, artifact)) === undefined)
          throw new Failure("not_found", `build ${build} is not published`);
        const chunks = library.chunks.get(`${build}/${artifact}`) ?? [];
        for (let index = firstChunk; index < firstChunk + count; index++) {
          const wrong = await fault(signal);
          const bytes = chunks[index] ?? Buffer.alloc(0);
          if (wrong === "wrong number") yield { index: index + 1, bytes };
          else if (wrong === "end") return;
          else yield { index, bytes: changed(bytes, wrong) };
        }
      },
    };
  }

  objects(watch: RequestWatch): ObjectSource {
    const contents = this.#contents;
    const fault = (signal: AbortSignal) => this.#fault(signal);
    const now = () => this.#clock.now();
    return {
      name: "bucket",
      async *read(object, signal) {
        const wrong = await fault(signal);
        const key = keyOf(object);
        const found = contents.get(key);
        if (found === undefined) {
          if (object.kind === "manifest") watch.missing(object.build, now());
          throw new Failure("not_found", `${key} is not in the bucket`);
        }
        if (wrong === "end" || wrong === "wrong number") throw new Failure("not_found", "a planned fault");
        for (let at = 0; at < found.bytes.length; at += pieceBytes) {
          yield changed(Uint8Array.from(found.bytes.subarray(at, at + pieceBytes)), wrong);
          await fault(signal);
        }
      },
    };
  }

  /** Waits as long as an answer takes; throws, or says what is wrong with it. */
  async #fault(signal: AbortSignal): Promise<string | undefined> {
    const random = this.#random;
    await this.#clock.sleep(1 + random.below(30), signal);
    if (random.fraction() >= this.#weather.faultRate) return undefined;
    const kinds = ["fail", "fail", "stall", "flip", "short", "long", "end", "wrong number"];
    const kind = kinds[random.below(kinds.length)];
    if (kind === "fail") throw new Failure("unavailable", "a planned fault");
    if (kind === "stall") await this.#clock.sleep(random.below(20_000), signal);
    return kind === "stall" ? undefined : kind;
  }
}

function changed(bytes: Uint8Array, fault: string | undefined): Uint8Array {
  if (fault === "short") return bytes.subarray(0, Math.max(0, bytes.length - 1));
  if (fault === "long") return Buffer.concat([bytes, Buffer.from([0])]);
  if (fault !== "flip" || bytes.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  copy[0] = (copy[0] ?? 0) ^ 1;
  return copy;
}
