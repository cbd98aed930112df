import { hash } from "node:crypto";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { type Manifest, manifestBytesMax, parseManifest } from "../build/manifest.ts";
import type { ObjectSource } from "../build/object-source.ts";
import { retry } from "../build/retry.ts";
import type { CacheTools } from "./cache-tools.ts";
import type { Disk } from "./disk.ts";
import { Flights } from "./flights.ts";
import { readWhole } from "./read-whole.ts";
import { abortableIterable } from "./receive.ts";
import type { WholeFiles } from "./whole-files.ts";

/** A manifest that was not there is said to be missing for so long without asking again (C2). */
const notFoundMsMax = 5_000;
/** Missing builds that are remembered. */
const notFoundMax = 10_000;

export interface FoundManifest {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly bytes: Buffer;
  /** It lies on the shelf; false when there was no room for it, or the disk refused. */
  readonly kept: boolean;
}

/** Finds out whether a build exists: from the shelf, else from the bucket. */
export class Manifests {
  readonly #source: ObjectSource;
  readonly #tools: CacheTools;
  readonly #files: WholeFiles;
  readonly #flights: Flights<FoundManifest>;
  /** When a missing build was asked for last. */
  readonly #missing = new Map<string, number>();
  /** How often a build was announced on this node: a probe begun before must not say afterwards that it is missing. */
  readonly #announced = new Map<string, number>();

  constructor(source: ObjectSource, files: WholeFiles, tools: CacheTools) {
    this.#source = source;
    this.#files = files;
    this.#tools = tools;
    this.#flights = new Flights(tools.clock, () => tools.joined("manifest"));
  }

  get underWay(): number {
    return this.#flights.count;
  }

  /** The manifest of a build that has none on the shelf; if it can be, it is kept in `directory`. */
  find(build: string, directory: string, signal: AbortSignal): Promise<FoundManifest> {
    const asked = this.#missing.get(build);
    if (asked !== undefined && this.#tools.clock.monotonic() - asked < notFoundMsMax) {
      return Promise.reject(new Failure("not_found", `there is no build ${build}`));
    }
    return this.#flights.join(build, (flightSignal) => this.#fetch(build, directory, flightSignal), signal);
  }

  /** The build was published just now: whatever was learnt of its absence is void (C7). */
  announce(build: string): void {
    this.#missing.delete(build);
    this.#announced.set(build, (this.#announced.get(build) ?? 0) + 1);
    this.#tools.backoffs.clear(objectOf(build));
  }

  /** Operators may want to ask again at once. */
  forgetMissing(): void {
    this.#missing.clear();
  }

  /** A disk that takes nothing is no reason to have no build: it is passed through. */
  async keep(directory: string, bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#files.keep(path.join(directory, "manifest.json"), bytes, signal);
      await this.#files.syncName(directory);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      this.#tools.diskTrouble(Failure.from(error));
      return false;
    }
  }

  close(reason: Failure): Promise<void> {
    return this.#flights.abortAll(reason);
  }

  async #fetch(build: string, directory: string, signal: AbortSignal): Promise<FoundManifest> {
    const started = this.#tools.clock.monotonic();
    const object = objectOf(build);
    for (;;) {
      await this.#tools.backoffs.wait(object, signal);
      const announced = this.#announced.get(build);
      try {
        const found = await retry(() => this.#attempt(build, signal), this.#tools.retries, signal);
        this.#tools.backoffs.clear(object);
        const kept = await this.keep(directory, found.bytes, signal);
        return { ...found, digest: hash("sha256", found.bytes), kept };
      } catch (error) {
        signal.throwIfAborted();
        const failure = Failure.from(error);
        if (failure.code === "not_found") {
          if (announced !== this.#announced.get(build)) continue; // published since the question was asked
          this.#remember(build);
          throw new Failure("not_found", `there is no build ${build}`, { cause: failure });
        }
        this.#tools.backoffs.failed(object, failure);
        this.#tools.reportFailure({ build, artifact: "manifest" }, object, failure, started);
        const message = `the manifest of build ${build} (${object}) could not be had: ${failure.code}`;
        throw new Failure(failure.code, message, { cause: failure });
      }
    }
  }

  async #attempt(build: string, signal: AbortSignal): Promise<{ manifest: Manifest; bytes: Buffer }> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of abortableIterable(
      this.#source.read({ kind: "manifest", build }, signal),
      signal,
    )) {
      length += piece.length;
      if (length > manifestBytesMax)
        throw new Failure("corrupt", `the manifest of build ${build} is too large`);
      pieces.push(Uint8Array.from(piece));
    }
    const bytes = Buffer.concat(pieces);
    return { manifest: parseManifest(bytes, build), bytes };
  }

  #remember(build: string): void {
    this.#missing.set(build, this.#tools.clock.monotonic());
    const [oldest] = this.#missing.keys();
    if (this.#missing.size > notFoundMax && oldest !== undefined) this.#missing.delete(oldest);
  }
}

/** The manifest as it lies on the shelf, or undefined when it is not there or not what the journal says. */
export async function keptManifest(
  disk: Disk,
  build: string,
  directory: string,
  digest: string,
): Promise<Manifest | undefined> {
  try {
    const bytes = await readWhole(disk, path.join(directory, "manifest.json"));
    return hash("sha256", bytes) === digest ? parseManifest(bytes, build) : undefined;
  } catch {
    return undefined;
  }
}

function objectOf(build: string): string {
  return `builds/${build}/manifest.json`;
}
