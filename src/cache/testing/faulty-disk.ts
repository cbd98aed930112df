import path from "node:path";
import type { Disk, DiskFile } from "../disk.ts";

/** One thing that is done to a disk. */
export interface DiskStep {
  readonly operation: Exclude<keyof Disk | keyof DiskFile, "descriptor" | "lock">;
  /** The last two parts of the path. */
  readonly file: string;
  /** Counts from 1. */
  readonly number: number;
}

/** What becomes of a step: the system's error, or held until told otherwise. `undefined` lets it through. */
export type DiskFault = "EIO" | "ENOSPC" | { readonly until: Promise<void> } | undefined;

/** A disk whose steps are counted, and fail or hang as the test plans. */
export class FaultyDisk implements Disk {
  readonly #disk: Disk;
  #steps = 0;
  plan: (step: DiskStep) => DiskFault = () => undefined;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  makeDirectory(directory: string): Promise<void> {
    return this.#step("makeDirectory", directory, () => this.#disk.makeDirectory(directory));
  }

  list(directory: string): Promise<string[]> {
    return this.#step("list", directory, () => this.#disk.list(directory));
  }

  size(file: string): Promise<number | undefined> {
    return this.#step("size", file, () => this.#disk.size(file));
  }

  async open(file: string, ...how: [Parameters<Disk["open"]>[1], number?]): Promise<DiskFile> {
    const opened = await this.#step("open", file, () => this.#disk.open(file, ...how));
    return this.#file(file, opened);
  }

  protect(file: string): Promise<void> {
    return this.#step("protect", file, () => this.#disk.protect(file));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step("rename", to, () => this.#disk.rename(from, to));
  }

  link(from: string, to: string): Promise<void> {
    return this.#step("link", to, () => this.#disk.link(from, to));
  }

  remove(file: string): Promise<void> {
    return this.#step("remove", file, () => this.#disk.remove(file));
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#step("syncDirectory", directory, () => this.#disk.syncDirectory(directory));
  }

  freeBytes(directory: string): Promise<number> {
    return this.#step("freeBytes", directory, () => this.#disk.freeBytes(directory));
  }

  lock(file: string, holder: string): Disposable {
    return this.#disk.lock(file, holder);
  }

  #file(name: string, file: DiskFile): DiskFile {
    return {
      get descriptor() {
        return file.descriptor;
      },
      readNow: (into, offset) => this.#stepNow("readNow", name, () => file.readNow(into, offset)),
      read: (into, offset) => this.#step("read", name, () => file.read(into, offset)),
      write: (bytes, offset) => this.#step("write", name, () => file.write(bytes, offset)),
      size: () => this.#step("size", name, () => file.size()),
      resize: (bytes) => this.#step("resize", name, () => file.resize(bytes)),
      sync: () => this.#step("sync", name, () => file.sync()),
      punch: (offset, length) => this.#stepNow("punch", name, () => file.punch(offset, length)),
      dataRanges: (bytes) => file.dataRanges(bytes),
      // The descriptor is gone even when the system says that it could not be closed.
      close: async () => {
        await file.close();
        await this.#step("close", name, () => Promise.resolve());
      },
    };
  }

  async #step<T>(operation: DiskStep["operation"], file: string, work: () => Promise<T>): Promise<T> {
    const fault = this.#faultOf(operation, file);
    if (typeof fault === "object") await fault.until;
    else if (fault !== undefined) throw errorOf(fault);
    return work();
  }

  #stepNow<T>(operation: DiskStep["operation"], file: string, work: () => T): T {
    const fault = this.#faultOf(operation, file);
    if (typeof fault === "string") throw errorOf(fault);
    return work();
  }

  #faultOf(operation: DiskStep["operation"], file: string): DiskFault {
    this.#steps += 1;
    const name = file.split(path.sep).slice(-2).join("/");
    return this.plan({ operation, file: name, number: this.#steps });
  }
}

function errorOf(code: string): Error {
  return Object.assign(new Error(`${code}: a planned fault`), { code });
}
