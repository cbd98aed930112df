import { hash } from "node:crypto";
import { abortable } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import { chunkBytes } from "../build/artifact.ts";
import { isZero } from "../build/is-zero.ts";
import type { CacheTools } from "./cache-tools.ts";
import type { ChunkFile } from "./chunk-file.ts";

/** Compares the chunks that the shelf keeps of one artifact with its index, and gives up those that are bad. */
export class ChunkChecker {
  readonly #file: ChunkFile;
  readonly #tools: CacheTools;
  readonly #checks = new Map<number, Promise<void>>();

  constructor(file: ChunkFile, tools: CacheTools) {
    this.#file = file;
    this.#tools = tools;
  }

  /** Resolves when nothing is being checked. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#checks.values());
  }

  /** Reads a suspect chunk and settles what it is; shared by all who want it (C22). */
  async check(chunk: number, signal: AbortSignal): Promise<void> {
    const check = this.#checks.get(chunk) ?? this.#check(chunk).finally(() => this.#checks.delete(chunk));
    this.#checks.set(chunk, check);
    await abortable(check, signal);
  }

  /** Reads a kept chunk again; false when it was bad, and is given up; undefined when it is not kept. */
  async verify(chunk: number, signal: AbortSignal): Promise<boolean | undefined> {
    if (this.#file.isSuspect(chunk)) {
      await this.check(chunk, signal);
      return this.#file.present.has(chunk);
    }
    if (!this.#file.present.has(chunk)) return undefined;
    const good = await this.#isGood(chunk);
    if (!good && this.#file.present.has(chunk)) await this.distrust(chunk);
    return good;
  }

  async #check(chunk: number): Promise<void> {
    const good = await this.#isGood(chunk);
    this.#tools.meter.count("larder_cache_verified_after_restart_total", {
      outcome: good ? "good" : "damaged",
    });
    if (good) this.#file.settleGood(chunk);
    else await this.distrust(chunk);
  }

  /** A kept chunk is bad or cannot be read: nobody is served from it any more, and the next read brings it anew. */
  async distrust(chunk: number): Promise<void> {
    this.#tools.meter.count("larder_corrupt_chunks_total", { source: "shelf" });
    await this.#file.distrust(chunk).catch((error: unknown) => this.#tools.diskTrouble(Failure.from(error)));
  }

  /** What the shelf holds of a chunk is what the index says. */
  async #isGood(chunk: number): Promise<boolean> {
    const place = this.#file.index.chunk(chunk);
    const bytes = Buffer.allocUnsafe(place.bytes);
    try {
      await this.#file.read(chunk * chunkBytes, bytes);
    } catch (error) {
      this.#tools.diskTrouble(Failure.from(error));
      return false;
    }
    return place.zero ? isZero(bytes) : hash("sha256", bytes, "buffer").equals(place.digest);
  }
}
