import { dirname } from "node:path";
import { Failure } from "../base/failure.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { Disk, DiskFile } from "./disk.ts";

export interface ChunkSpaceOptions {
  readonly disk: Disk;
  readonly path: string;
  /** Size of the file. */
  readonly storageBytes: number;
}

interface SizedFile {
  readonly file: DiskFile;
  readonly isNew: boolean;
}

/**
 * The sparse file that chunks of one artifact lie in, chunk i at i × chunkBytes. A disk that refuses to open it is
 * asked again with the next write; until then nothing can be read from it.
 */
export class ChunkSpace {
  /** There was no such file, or one of another size: nothing that lies in it was kept. */
  readonly isNew: boolean;
  readonly #options: ChunkSpaceOptions;
  #file: DiskFile | undefined;
  #opening: Promise<DiskFile> | undefined;
  #isClosed = false;

  private constructor(options: ChunkSpaceOptions, file: DiskFile | undefined, isNew = false) {
    this.#options = options;
    this.#file = file;
    this.isNew = isNew;
  }

  /** A file that is never written; `onTrouble` is told when it cannot be opened: then nothing can be read from it. */
  static async openToRead(
    options: ChunkSpaceOptions,
    onTrouble: (failure: Failure) => void,
  ): Promise<ChunkSpace> {
    const opening = options.disk.open(options.path, "read");
    const file = await opening.catch((error: unknown) => onTrouble(Failure.from(error)));
    return new ChunkSpace(options, file ?? undefined);
  }

  /** To give space back; the disk's refusal is thrown. */
  static async openToFree(options: ChunkSpaceOptions): Promise<ChunkSpace> {
    return new ChunkSpace(options, (await openSized(options)).file);
  }

  static async open(options: ChunkSpaceOptions, onTrouble: (failure: Failure) => void): Promise<ChunkSpace> {
    const sized = await openSized(options).catch((error: unknown) => onTrouble(Failure.from(error)));
    return new ChunkSpace(options, sized?.file, sized?.isNew);
  }

  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /** For a thread that reads the file by itself; -1 while it is not open. */
  get descriptor(): number {
    return this.#file?.descriptor ?? -1;
  }

  bytesOf(chunk: number): number {
    return Math.min(chunkBytes, this.#options.storageBytes - chunk * chunkBytes);
  }

  readNow(storageOffset: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const rest = done === 0 ? into : into.subarray(done);
      const read = this.#file?.readNow(rest, storageOffset + done) ?? 0;
      if (read === 0) throw new Failure("corrupt", `${this.#options.path} is shorter than it was`);
      done += read;
    }
  }

  async read(storageOffset: number, into: Uint8Array): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const read = (await this.#file?.read(into.subarray(done), storageOffset + done)) ?? 0;
      if (read === 0) throw new Failure("corrupt", `${this.#options.path} is shorter than it was`);
      done += read;
    }
  }

  async write(chunk: number, bytes: Uint8Array): Promise<void> {
    const file = this.#file ?? (await this.#openAgain());
    await file.write(bytes, chunk * chunkBytes);
  }

  /** One at a time: two descriptors of which one is forgotten would leak. */
  async #openAgain(): Promise<DiskFile> {
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return await this.#opening;
  }

  async #open(): Promise<DiskFile> {
    const { file } = await openSized(this.#options);
    if (!this.#isClosed) return (this.#file = file);
    await file.close(); // the disk took longer than whoever wanted it
    throw new Failure("cancelled", `${this.#options.path} was closed meanwhile`);
  }

  async sync(): Promise<void> {
    await this.#file?.sync();
  }

  /** Gives the space of a chunk back; false when the file system cannot. */
  free(chunk: number): boolean {
    try {
      this.#file?.punch(chunk * chunkBytes, this.bytesOf(chunk));
      return true;
    } catch {
      return false;
    }
  }

  /** Chunks that take up space, as the file system sees it. */
  chunksWithData(): Set<number> {
    const chunks = new Set<number>();
    for (const { offset, length } of this.#file?.dataRanges(this.#options.storageBytes) ?? []) {
      const last = Math.floor((offset + length - 1) / chunkBytes);
      for (let chunk = Math.floor(offset / chunkBytes); chunk <= last; chunk++) chunks.add(chunk);
    }
    return chunks;
  }

  /** Unlinks the file; the next write makes another one. Who has the old one mapped keeps it. */
  async remove(): Promise<void> {
    await this.#options.disk.remove(this.#options.path);
    await this.#letGo();
  }

  /** For good: a write that is still under way opens no file any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

async function openSized({ disk, path, storageBytes }: ChunkSpaceOptions): Promise<SizedFile> {
  const file = await disk.open(path, "update");
  let isNew: boolean;
  try {
    isNew = (await file.size()) !== storageBytes;
    if (isNew) {
      // Its name first: one that has its size is never asked about again, and nothing in it is kept while that is not.
      await disk.syncDirectory(dirname(path));
      await file.resize(storageBytes);
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return { file, isNew };
}
