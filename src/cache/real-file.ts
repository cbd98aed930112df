import { constants, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { punchHole } from "../base/punch-hole.ts";
import { type DataRange, dataRanges } from "../base/sparse-file.ts";
import type { DiskFile } from "./disk.ts";

/** How a file is opened: only to be read; to be changed, made when missing; or emptied, made when missing. */
export type OpenAs = "read" | "update" | "anew";

export function flagsOf(as: OpenAs): number {
  const { O_RDONLY, O_RDWR, O_CREAT, O_TRUNC } = constants;
  if (as === "read") return O_RDONLY;
  return O_RDWR | O_CREAT | (as === "anew" ? O_TRUNC : 0);
}

/** An open file of the machine's own disk. */
export class RealFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  readNow(into: Uint8Array, offset: number): number {
    return readSync(this.#handle.fd, into, 0, into.length, offset);
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    return (await this.#handle.read(into, 0, into.length, offset)).bytesRead;
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += (await this.#handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
    }
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  resize(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes);
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  punch(offset: number, length: number): void {
    punchHole(this.#handle.fd, offset, length);
  }

  dataRanges(bytes: number): DataRange[] {
    return dataRanges(this.#handle.fd, bytes);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

export async function syncedDirectory(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}
