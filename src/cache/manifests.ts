import { hash } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { type Manifest, manifestBytesMax, parseManifest } from "../build/manifest.ts";
import type { ObjectSource } from "../build/object-source.ts";
import { retry } from "../build/retry.ts";
import type { CacheTools } from "./cache-tools.ts";
import { Flights } from "./flights.ts";
import { syncDirectory } from "./journal.ts";
import { abortableIterable } from "./whole-files.ts";

/** A manifest that was not there is said to be missing for so long without asking again (C2). */
const notFoundMsMax = 5_000;
/** Missing builds that are remembered. */
const notFoundMax = 10_000;

export interface FoundManifest {
  readonly manifest: Manifest;
  readonly digest: string;
}

/** Finds out whether a build exists: from the shelf, else from the bucket. */
export class Manifests {
  readonly #source: ObjectSource;
  readonly #tools: CacheTools;
  readonly #flights = new Flights<FoundManifest>();
  /** When a missing build was asked for last. */
  readonly #missing = new Map<string, number>();
  /** How often a build was announced on this node: a probe begun before must not say afterwards that it is missing. */
  readonly #announced = new Map<string, number>();

  constructor(source: ObjectSource, tools: CacheTools) {
    this.#source = source;
    this.#tools = tools;
  }

  get underWay(): number {
    return this.#flights.count;
  }

  /** The manifest of a build that has none on the shelf; it lies in `directory` when this resolves. */
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
        await keep(directory, found.bytes);
        this.#tools.backoffs.clear(object);
        return { manifest: found.manifest, digest: hash("sha256", found.bytes) };
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
  build: string,
  directory: string,
  digest: string,
): Promise<Manifest | undefined> {
  try {
    const bytes = await readFile(path.join(directory, "manifest.json"));
    return hash("sha256", bytes) === digest ? parseManifest(bytes, build) : undefined;
  } catch {
    return undefined;
  }
}

async function keep(directory: string, bytes: Buffer): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const target = path.join(directory, "manifest.json");
  try {
    await using file = await open(`${target}.new`, "w", 0o600);
    await file.writeFile(bytes);
    await file.sync();
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  await rename(`${target}.new`, target);
  await syncDirectory(directory);
}

function objectOf(build: string): string {
  return `builds/${build}/manifest.json`;
}
