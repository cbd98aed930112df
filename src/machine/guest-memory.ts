import { readSync, writeSync } from "node:fs";
import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { Failure } from "../base/failure.ts";
import { dataRanges } from "../base/sparse-file.ts";
import { addDirtyPages, bytesOf, type MemoryRange, pageBytes } from "./dirty-pages.ts";
import type { Memfile } from "./machine-spec.ts";
import { type Mapping, mappingsOf } from "./memory-maps.ts";

/** Entries of the page map that are read at once: 64 Ki of them, 256 MiB of memory. */
const entriesBytesMax = 512 * 1024;

/** The memory of one machine, as its VMM has mapped it from a file. Only of use while the machine is stopped. */
export class GuestMemory implements AsyncDisposable {
  readonly #mappings: readonly Mapping[];
  readonly #pid: number;
  readonly #memory: FileHandle;
  readonly #memfile: FileHandle | undefined;

  private constructor(
    pid: number,
    mappings: readonly Mapping[],
    memory: FileHandle,
    memfile: FileHandle | undefined,
  ) {
    this.#pid = pid;
    this.#mappings = mappings;
    this.#memory = memory;
    this.#memfile = memfile;
  }

  /** Throws `denied` where the system lets nobody see the memory of another process, `internal` without a mapping. */
  static async open(pid: number, { path, lazy }: Memfile): Promise<GuestMemory> {
    const mappings = mappingsOf(await readFile(`/proc/${pid}/maps`, "utf8"), lazy ?? (await stat(path)));
    if (mappings.length === 0)
      throw new Failure("internal", `the machine (process ${pid}) has not mapped ${path}`);
    const file = lazy === undefined ? await open(path, "r") : undefined;
    try {
      return new GuestMemory(pid, mappings, await open(`/proc/${pid}/mem`, "r+"), file);
    } catch (error) {
      await file?.close();
      throw Failure.from(error, `the memory of the machine (process ${pid}) cannot be reached`);
    }
  }

  /** The pages that differ from the file's, or may: in order, joined. For a private mapping. */
  async dirtyRanges(signal: AbortSignal): Promise<MemoryRange[]> {
    const ranges: MemoryRange[] = [];
    await using pagemap = await open(`/proc/${this.#pid}/pagemap`, "r");
    const buffer = Buffer.allocUnsafe(entriesBytesMax);
    for (const { start, end, offset } of this.#mappings) {
      const bytes = ((end - start) / pageBytes) * 8;
      for (let done = 0; done < bytes; ) {
        signal.throwIfAborted();
        const wanted = Math.min(buffer.length, bytes - done);
        const { bytesRead } = await pagemap.read(buffer, 0, wanted, (start / pageBytes) * 8 + done);
        if (bytesRead === 0 || bytesRead % 8 !== 0)
          throw new Failure("unavailable", `the page map of process ${this.#pid} ends early`);
        addDirtyPages(ranges, buffer.subarray(0, bytesRead), offset + (done / 8) * pageBytes);
        done += bytesRead;
      }
    }
    return ranges;
  }

  /** Whether all pages of a range are the machine's own, not the file's. What is its own once stays so. */
  async isOwn({ offset, length }: MemoryRange): Promise<boolean> {
    const first = offset - (offset % pageBytes);
    const mapping = this.#mappings.find(
      (each) => first >= each.offset && offset + length <= each.offset + each.end - each.start,
    );
    if (mapping === undefined) return false;
    const pages = Math.ceil((offset + length - first) / pageBytes);
    const start = mapping.start + (first - mapping.offset);
    await using pagemap = await open(`/proc/${this.#pid}/pagemap`, "r");
    const entries = Buffer.alloc(pages * 8);
    await pagemap.read(entries, 0, entries.length, (start / pageBytes) * 8);
    const own: MemoryRange[] = [];
    addDirtyPages(own, entries, first);
    return bytesOf(own) === pages * pageBytes;
  }

  /** The stretches of the file that are no holes. Of one whose pages come when they are needed nobody knows them. */
  async fileRanges(): Promise<MemoryRange[]> {
    if (this.#memfile === undefined) throw new Failure("internal", "the file is not to be touched");
    return dataRanges(this.#memfile.fd, (await this.#memfile.stat()).size);
  }

  /** Fills `into` from `offset` of the memory on. On the calling thread: read no more than a MiB at once. */
  readNow(offset: number, into: Uint8Array): void {
    this.#eachPart(offset, into, (part, address) => readSync(this.#memory.fd, part, 0, part.length, address));
  }

  /** The same for writing; what is written is the machine's own, not the file's. */
  writeNow(offset: number, bytes: Uint8Array): void {
    this.#eachPart(offset, bytes, (part, address) =>
      writeSync(this.#memory.fd, part, 0, part.length, address),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#memory.close(), this.#memfile?.close()]);
  }

  #eachPart(offset: number, bytes: Uint8Array, move: (part: Uint8Array, address: number) => number): void {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const mapping = this.#mappings.find(
        (each) => at >= each.offset && at < each.offset + each.end - each.start,
      );
      if (mapping === undefined) throw new Failure("internal", `byte ${at} of the memory is not mapped`);
      const address = mapping.start + (at - mapping.offset);
      const moved = move(
        bytes.subarray(done, done + Math.min(bytes.length - done, mapping.end - address)),
        address,
      );
      if (moved === 0) throw new Failure("unavailable", `the memory of process ${this.#pid} is gone`);
      done += moved;
    }
  }
}
