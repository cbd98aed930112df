import { Failure } from "../base/failure.ts";
import type { CacheTools } from "./cache-tools.ts";
import type { Room } from "./room.ts";
import { buildDirectory } from "./shelf.ts";
import type { WholeFiles } from "./whole-files.ts";

export interface LeftoversOptions {
  /** The shelf. */
  readonly directory: string;
  readonly files: WholeFiles;
  readonly room: Pick<Room, "adjust">;
  readonly tools: Pick<CacheTools, "diskTrouble">;
}

/**
 * Directories of builds that the journal knows no more, and that the disk did not let go. What lies there is not to be
 * believed, and counts in the budget until it is removed: when room is needed, or when somebody wants the build again.
 */
export class Leftovers {
  readonly #options: LeftoversOptions;
  /** Build → bytes of its chunks. */
  readonly #left = new Map<string, number>();
  /** Builds that live there again: what is left goes with them. */
  readonly #inUse = new Set<string>();
  #clearing: Promise<void> = Promise.resolve();

  constructor(options: LeftoversOptions) {
    this.#options = options;
  }

  has(build: string): boolean {
    return this.#left.has(build);
  }

  /** Removes all that lies of a build, with chunks of so many bytes; if that fails, it is a leftover. */
  async remove(build: string, chunkBytes: number): Promise<void> {
    this.#left.set(build, (this.#left.get(build) ?? 0) + chunkBytes);
    this.#inUse.delete(build);
    await this.#removeAgain(build);
  }

  /** Somebody wants the build: its directory is removed first if that can be done now, and never later. */
  async reclaim(build: string): Promise<void> {
    if (!this.#left.has(build)) return;
    this.#inUse.add(build);
    await this.#clearing;
    await this.#try(build);
  }

  /** Room is needed. */
  async clear(): Promise<void> {
    this.#clearing = this.#clearAll();
    await this.#clearing;
  }

  async #clearAll(): Promise<void> {
    for (const build of this.#left.keys()) if (!this.#inUse.has(build)) await this.#try(build);
  }

  /** What the disk refuses may be done another time. */
  async #try(build: string): Promise<void> {
    await this.#removeAgain(build).catch((error: unknown) =>
      this.#options.tools.diskTrouble(Failure.from(error)),
    );
  }

  async #removeAgain(build: string): Promise<void> {
    const { directory, files, room } = this.#options;
    await files.removeBelow(buildDirectory(directory, build));
    room.adjust(-(this.#left.get(build) ?? 0));
    this.#left.delete(build);
    this.#inUse.delete(build);
  }
}
