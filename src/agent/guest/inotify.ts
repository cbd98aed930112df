import { read } from "node:fs";
import { errnoError, type Foreign, type Koffi } from "./foreign.ts";

/** Bits of inotify(7). */
export const inotifyBits = {
  modify: 0x2,
  attributes: 0x4,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  delete: 0x200,
  deleteSelf: 0x400,
  moveSelf: 0x800,
  overflow: 0x4000,
  ignored: 0x8000,
  onlyDirectory: 0x1000000,
  isDirectory: 0x40000000,
} as const;

/** What is asked of the kernel about each directory. */
const { modify, attributes, movedFrom, movedTo, create, deleteSelf, moveSelf, onlyDirectory } = inotifyBits;
const mask =
  modify |
  attributes |
  movedFrom |
  movedTo |
  create |
  inotifyBits.delete |
  deleteSelf |
  moveSelf |
  onlyDirectory;

const closeOnExec = 0o2000000;
const bufferBytes = 64 * 1024;
const headBytes = 16;

export interface InotifyEvent {
  /** The number of a watch; -1 when the kernel lost events. */
  readonly watch: number;
  readonly bits: number;
  /** The same in the two events of one move, which follow each other. */
  readonly move: number;
  /** Of what is in the directory; empty: of the directory itself. */
  readonly name: string;
}

/**
 * The kernel's news of directories, by the system calls that Node lacks: what Node itself tells of a change does not
 * say what it was. While something is watched, one blocking read takes one thread of Node's pool.
 */
export class Inotify {
  readonly #koffi: Koffi;
  readonly #fd: number;
  readonly #add: Foreign<[number, string, number]>;
  readonly #remove: Foreign<[number, number]>;
  readonly #onEvent: (event: InotifyEvent) => void;
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  readonly #watches = new Set<number>();
  #reading = false;

  constructor(koffi: Koffi, onEvent: (event: InotifyEvent) => void) {
    const libc = koffi.load(null);
    const init = libc.func("int inotify_init1(int)") as unknown as Foreign<[number]>;
    this.#koffi = koffi;
    this.#onEvent = onEvent;
    this.#add = libc.func("int inotify_add_watch(int, const char *, uint32_t)") as unknown as Foreign<
      [number, string, number]
    >;
    this.#remove = libc.func("int inotify_rm_watch(int, int)") as unknown as Foreign<[number, number]>;
    this.#fd = init(closeOnExec);
    if (this.#fd < 0) throw errnoError(koffi, "inotify_init1");
  }

  /** The number of the watch on a directory; the same one for the same directory. Throws as Node's own calls do. */
  watch(directory: string): number {
    const watch = this.#add(this.#fd, directory, mask);
    if (watch < 0) throw errnoError(this.#koffi, "inotify_add_watch", directory);
    this.#watches.add(watch);
    if (!this.#reading) this.#read();
    return watch;
  }

  unwatch(watch: number): void {
    // It fails when the directory is gone. Else the kernel says a last word, which ends a read that waits.
    if (this.#watches.delete(watch)) this.#remove(this.#fd, watch);
  }

  #read(): void {
    this.#reading = this.#watches.size > 0;
    if (!this.#reading) return;
    read(this.#fd, this.#buffer, 0, bufferBytes, null, (error, count) => {
      if (error !== null) throw error; // The kernel refuses only what is a mistake of ours.
      for (let at = 0; at < count; ) at = this.#take(at);
      this.#read();
    });
  }

  /** struct inotify_event { int wd; uint32_t mask, cookie, len; char name[len]; }, padded with NUL bytes */
  #take(at: number): number {
    const watch = this.#buffer.readInt32LE(at);
    const bits = this.#buffer.readUInt32LE(at + 4);
    const move = this.#buffer.readUInt32LE(at + 8);
    const nameAt = at + headBytes;
    const end = nameAt + this.#buffer.readUInt32LE(at + 12);
    const name = this.#buffer.toString("utf8", nameAt, end).replace(/\0+$/, "");
    if ((bits & inotifyBits.ignored) !== 0) this.#watches.delete(watch);
    this.#onEvent({ watch, bits, move, name });
    return end;
  }
}
