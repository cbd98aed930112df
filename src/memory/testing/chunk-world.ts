import { hash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { SeededRandom } from "../../base/testing/seeded-random.ts";
import { chunkBytes } from "../../build/artifact.ts";
import { ChunkTable } from "../chunk-table.ts";

/** A file of four chunks, the second one zeros and the last one short; on the shelf there is only the first. */
export class ChunkWorld {
  readonly data: Buffer;
  readonly table: ChunkTable;
  readonly path: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.path = path.join(directory, "memfile.data");
    this.data = Buffer.from(new SeededRandom(5).bytes(3 * chunkBytes + 8192));
    this.data.fill(0, chunkBytes, 2 * chunkBytes);
    const digests = [0, 1, 2, 3].map((chunk) =>
      chunk === 1 ? Buffer.alloc(32) : hash("sha256", this.chunk(chunk), "buffer"),
    );
    this.table = new ChunkTable(this.data.length, Buffer.concat(digests));
  }

  static async make(): Promise<ChunkWorld> {
    const world = new ChunkWorld(await mkdtemp(path.join(tmpdir(), "larder-chunks-")));
    const shelf = Buffer.alloc(world.data.length);
    world.chunk(0).copy(shelf);
    await writeFile(world.path, shelf);
    return world;
  }

  chunk(chunk: number): Buffer {
    return this.data.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true });
  }
}
