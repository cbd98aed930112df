import { createHash, hash } from "node:crypto";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { FileEntry } from "../build/manifest.ts";
import type { ObjectName, ObjectSource } from "../build/object-source.ts";
import { retry } from "../build/retry.ts";
import type { CacheTools } from "./cache-tools.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { Flights } from "./flights.ts";
import { onDisk } from "./on-disk.ts";
import { readPieces, readWhole } from "./read-whole.ts";
import { receive } from "./receive.ts";
import type { WholeFileSizes } from "./recovery.ts";
import type { Reservation, Room } from "./room.ts";

export interface WholeFile {
  /** Where it shall lie. */
  readonly path: string;
  readonly object: ObjectName;
  readonly entry: FileEntry;
  /** For logs and back-offs. */
  readonly objectName: string;
  readonly artifact: Parameters<CacheTools["reportFailure"]>[0]["artifact"];
  readonly build: string;
}

export interface WholeFilesOptions {
  readonly disk: Disk;
  readonly source: ObjectSource;
  readonly room: Room;
  readonly tools: CacheTools;
  /** What a former run has left; counted in the budget already. */
  readonly sizes: WholeFileSizes;
}

/** Objects that are fetched whole: index, snapfile, metafile, inputs. Each is verified before it gets its name. */
export class WholeFiles {
  readonly #disk: Disk;
  readonly #source: ObjectSource;
  readonly #room: Room;
  readonly #tools: CacheTools;
  readonly #flights: Flights<Buffer | undefined>;
  /** Files that were verified by this process. */
  readonly #verified = new Set<string>();
  /** Bytes of what lies on the shelf, as the budget counts them. */
  readonly #sizes: WholeFileSizes;
  #temporaries = 0;

  constructor({ disk, source, room, tools, sizes }: WholeFilesOptions) {
    this.#disk = disk;
    this.#source = source;
    this.#room = room;
    this.#tools = tools;
    this.#sizes = new Map(sizes);
    this.#flights = new Flights(tools.clock, () => tools.joined("object"));
  }

  get underWay(): number {
    return this.#flights.count;
  }

  /** Resolves when the file lies at its path, verified; one of a former run is verified before it is believed. */
  async have(file: WholeFile, signal: AbortSignal): Promise<void> {
    if (this.#verified.has(file.path)) return;
    const fly = async (flightSignal: AbortSignal) => {
      if (!(await this.#isThere(file))) await this.#fetch(file, (s) => this.#bring(file, s), flightSignal);
      return undefined;
    };
    await this.#flights.join(file.path, fly, signal);
  }

  /** What the file holds, verified. It is kept when the disk lets it; it is told all the same when not. */
  async bytes(file: WholeFile, signal: AbortSignal): Promise<Buffer> {
    const fly = async (flightSignal: AbortSignal) =>
      (await this.#keptBytes(file)) ??
      (await this.#fetch(file, (s) => this.#bringBytes(file, s), flightSignal));
    return (await this.#flights.join(`${file.path} in memory`, fly, signal)) ?? Buffer.alloc(0);
  }

  /** The bytes of a file that lies here and was verified. */
  pieces(file: string): AsyncIterable<Uint8Array> | undefined {
    return this.#verified.has(file) ? readPieces(this.#disk, file) : undefined;
  }

  /**
   * Writes a small file whole: under a temporary name, synced, renamed. Throws `exhausted` without room, or when the
   * disk refuses.
   */
  async keep(target: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    using room = await this.#room.tryReserveSmall(bytes.length);
    if (room === undefined) throw new Failure("exhausted", `there is no room for ${target}`);
    const write = (file: DiskFile) => onDisk(target, file.write(bytes, 0));
    await this.#put(target, bytes.length, room, write, signal);
  }

  /** A file lies on the shelf now. Each is counted once, whoever brought it. */
  count(file: string, bytes: number, room: Reservation | undefined): void {
    if (this.#sizes.has(file)) return;
    this.#sizes.set(file, bytes);
    if (room === undefined) this.#room.adjust(bytes);
    else room.keep(bytes);
  }

  /** Forgets and removes a file. */
  async remove(file: string): Promise<void> {
    this.#verified.delete(file);
    await onDisk(file, this.#disk.remove(file));
    const bytes = this.#sizes.get(file) ?? 0;
    this.#sizes.delete(file);
    this.#room.adjust(-bytes);
  }

  /** The name of a directory survives a crash from here on. */
  async syncName(directory: string): Promise<void> {
    await onDisk(directory, this.#disk.syncDirectory(path.dirname(directory)));
  }

  /** Removes a directory and all that is in it. */
  async removeBelow(directory: string): Promise<void> {
    await onDisk(directory, this.#disk.remove(directory));
    for (const [file, bytes] of this.#sizes) {
      if (path.dirname(file) !== directory) continue;
      this.#verified.delete(file);
      this.#sizes.delete(file);
      this.#room.adjust(-bytes);
    }
  }

  /** Bytes of the files below `directory`, as the budget counts them. */
  bytesBelow(directory: string): number {
    let bytes = 0;
    for (const [file, size] of this.#sizes) if (path.dirname(file) === directory) bytes += size;
    return bytes;
  }

  close(reason: Failure): Promise<void> {
    return this.#flights.abortAll(reason);
  }

  async #isThere(file: WholeFile): Promise<boolean> {
    const sum = createHash("sha256");
    const look = async () => {
      if ((await this.#disk.size(file.path)) === undefined) return undefined;
      for await (const piece of readPieces(this.#disk, file.path)) sum.update(piece);
      return sum.digest("hex");
    };
    return this.#believe(file, await look().catch((error: unknown) => this.#unreadable(error)));
  }

  async #keptBytes(file: WholeFile): Promise<Buffer | undefined> {
    const read = async () =>
      (await this.#disk.size(file.path)) === undefined ? undefined : await readWhole(this.#disk, file.path);
    const bytes = await read().catch((error: unknown) => Buffer.from(this.#unreadable(error)));
    const isGood = await this.#believe(file, bytes === undefined ? undefined : hash("sha256", bytes));
    return isGood ? bytes : undefined;
  }

  #unreadable(error: unknown): string {
    this.#tools.diskTrouble(Failure.from(error));
    return "unreadable";
  }

  /** Believes what lies there when its digest is right, and removes it when not. */
  async #believe(file: WholeFile, digest: string | undefined): Promise<boolean> {
    if (digest === undefined) return false;
    if (digest === file.entry.digest) {
      this.#verified.add(file.path);
      this.count(file.path, file.entry.bytes, undefined);
      return true;
    }
    this.#tools.meter.count("larder_cache_verified_after_restart_total", { outcome: "damaged" });
    await this.remove(file.path).catch((error: unknown) => this.#tools.diskTrouble(Failure.from(error)));
    return false;
  }

  /** One flight: waits for its turn, tries as often as the failures allow, and tells of the last one once. */
  async #fetch<T>(
    file: WholeFile,
    attempt: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const started = this.#tools.clock.monotonic();
    const { backoffs } = this.#tools;
    await backoffs.wait(file.objectName, signal);
    try {
      const result = await retry(() => attempt(signal), this.#tools.retries, signal);
      backoffs.clear(file.objectName);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      const failure = Failure.from(error);
      backoffs.failed(file.objectName, failure);
      this.#tools.reportFailure(file, file.objectName, failure, started);
      const message = `${file.artifact} of build ${file.build} (${file.objectName}) could not be had: ${failure.code}`;
      throw new Failure(failure.code, message, { cause: failure });
    }
  }

  async #bring(file: WholeFile, signal: AbortSignal): Promise<void> {
    using room = await this.#room.reserve(file.entry.bytes, file.objectName, signal);
    const write = async (target: DiskFile) => {
      let at = 0;
      await receive(file, this.#source, this.#tools, signal, async (piece) => {
        await onDisk(file.path, target.write(piece, at));
        at += piece.length;
      });
    };
    await this.#put(file.path, file.entry.bytes, room, write, signal);
    this.#verified.add(file.path);
  }

  async #bringBytes(file: WholeFile, signal: AbortSignal): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    await receive(file, this.#source, this.#tools, signal, (piece) => pieces.push(Uint8Array.from(piece)));
    const bytes = Buffer.concat(pieces);
    await this.keep(file.path, bytes, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      this.#tools.diskTrouble(Failure.from(error));
    });
    return bytes;
  }

  /** A dying flight gives nothing a name (C4). */
  async #put(
    target: string,
    bytes: number,
    room: Reservation,
    write: (file: DiskFile) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const temporary = `${target}.${this.#temporaries++}.new`;
    const directory = path.dirname(target);
    try {
      await onDisk(directory, this.#disk.makeDirectory(directory));
      const file = await onDisk(temporary, this.#disk.open(temporary, "anew", 0o444));
      try {
        await write(file);
        await onDisk(temporary, file.sync());
      } finally {
        await file.close();
      }
      signal.throwIfAborted();
      await onDisk(target, this.#disk.rename(temporary, target));
      this.count(target, bytes, room);
      await onDisk(directory, this.#disk.syncDirectory(directory));
    } catch (error) {
      await this.#disk.remove(temporary).catch(() => {});
      throw error;
    }
  }
}
