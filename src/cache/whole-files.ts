import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { abortable } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import type { FileEntry } from "../build/manifest.ts";
import type { ObjectName, ObjectSource } from "../build/object-source.ts";
import { retry } from "../build/retry.ts";
import type { CacheTools } from "./cache-tools.ts";
import { Flights } from "./flights.ts";
import { syncDirectory } from "./journal.ts";
import type { Room } from "./room.ts";

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

/** Objects that are fetched whole: index, snapfile, metafile, inputs. Each is verified before it gets its name. */
export class WholeFiles {
  readonly #source: ObjectSource;
  readonly #room: Room;
  readonly #tools: CacheTools;
  readonly #flights = new Flights<void>();
  /** Files that were verified by this process. */
  readonly #verified = new Set<string>();
  #temporaries = 0;

  constructor(source: ObjectSource, room: Room, tools: CacheTools) {
    this.#source = source;
    this.#room = room;
    this.#tools = tools;
  }

  get underWay(): number {
    return this.#flights.count;
  }

  /** Resolves when the file lies at its path, verified; one of a former run is verified before it is believed. */
  async have(file: WholeFile, signal: AbortSignal): Promise<void> {
    if (this.#verified.has(file.path)) return;
    await this.#flights.join(
      file.path,
      async (flightSignal) => {
        if (await this.#isThere(file)) return;
        await this.#fetch(file, flightSignal);
      },
      signal,
    );
  }

  /** Forgets and removes files; resolves to the bytes that were freed. */
  async remove(path: string): Promise<number> {
    this.#verified.delete(path);
    const bytes = (await stat(path).catch(() => undefined))?.size ?? 0;
    await rm(path, { force: true });
    this.#room.adjust(-bytes);
    return bytes;
  }

  close(reason: Failure): Promise<void> {
    return this.#flights.abortAll(reason);
  }

  async #isThere(file: WholeFile): Promise<boolean> {
    const found = await stat(file.path).catch(() => undefined);
    if (found === undefined) return false;
    const sum = createHash("sha256");
    try {
      if (found.size === file.entry.bytes)
        for await (const piece of createReadStream(file.path)) sum.update(piece as Buffer);
    } catch (error) {
      this.#tools.diskTrouble(Failure.from(error));
    }
    if (sum.digest("hex") === file.entry.digest) {
      this.#verified.add(file.path);
      return true;
    }
    this.#tools.meter.count("larder_cache_verified_after_restart_total", { outcome: "damaged" });
    await this.remove(file.path);
    return false;
  }

  async #fetch(file: WholeFile, signal: AbortSignal): Promise<void> {
    const started = this.#tools.clock.monotonic();
    const { backoffs } = this.#tools;
    await backoffs.wait(file.objectName, signal);
    try {
      using room = await this.#room.reserve(file.entry.bytes, file.objectName, signal);
      await retry(() => this.#attempt(file, signal), this.#tools.retries, signal);
      room.keep(file.entry.bytes);
      this.#verified.add(file.path);
      backoffs.clear(file.objectName);
    } catch (error) {
      signal.throwIfAborted();
      const failure = Failure.from(error);
      backoffs.failed(file.objectName, failure);
      this.#tools.reportFailure(file, file.objectName, failure, started);
      const message = `${file.artifact} of build ${file.build} (${file.objectName}) could not be had: ${failure.code}`;
      throw new Failure(failure.code, message, { cause: failure });
    }
  }

  async #attempt(file: WholeFile, signal: AbortSignal): Promise<void> {
    const temporary = `${file.path}.${this.#temporaries++}.new`;
    await mkdir(path.dirname(file.path), { recursive: true, mode: 0o700 });
    try {
      await using target = await open(temporary, "wx", 0o444);
      await this.#receive(file, target, signal);
      await target.sync();
      signal.throwIfAborted();
      await rename(temporary, file.path);
      await syncDirectory(path.dirname(file.path));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async #receive(file: WholeFile, target: FileHandle, signal: AbortSignal): Promise<void> {
    const sum = createHash("sha256");
    let bytes = 0;
    for await (const piece of abortableIterable(this.#source.read(file.object, signal), signal)) {
      bytes += piece.length;
      if (bytes > file.entry.bytes) break;
      sum.update(piece);
      await target.writeFile(piece);
    }
    if (bytes !== file.entry.bytes) {
      throw new Failure("corrupt", `${file.objectName} has ${bytes} bytes or more, not ${file.entry.bytes}`);
    }
    if (sum.digest("hex") !== file.entry.digest) {
      this.#tools.meter.count("larder_corrupt_chunks_total", { source: this.#source.name });
      throw new Failure("corrupt", `${file.objectName} is not what its digest says`);
    }
  }
}

/** Iterates no longer than `signal` allows, also over a source that does not listen to it. */
export async function* abortableIterable<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await abortable(iterator.next(), signal);
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
