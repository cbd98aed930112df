import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { InputName, Manifest } from "../build/manifest.ts";
import { blobKey } from "../build/object-keys.ts";
import type { Journal } from "./journal.ts";
import type { WholeFiles } from "./whole-files.ts";

/** Inputs of builds on the shelf, by digest; builds share them. */
export class Blobs {
  readonly #directory: string;
  readonly #files: WholeFiles;
  readonly #journal: Journal;
  readonly #kept: Map<string, number>;

  constructor(directory: string, files: WholeFiles, journal: Journal, kept: ReadonlyMap<string, number>) {
    this.#directory = directory;
    this.#files = files;
    this.#journal = journal;
    this.#kept = new Map(kept);
  }

  get kept(): ReadonlyMap<string, number> {
    return this.#kept;
  }

  /** Resolves to the path of an input, whole and verified. */
  async have(manifest: Manifest, name: InputName, signal: AbortSignal): Promise<string> {
    const input = manifest.inputs.find((each) => each.name === name);
    const { build } = manifest;
    if (input === undefined) throw new Failure("invalid", `build ${build} has no input ${name}`);
    const { digest, bytes } = input;
    const file = path.join(this.#directory, digest);
    if (!this.#kept.has(digest)) {
      // Told to the journal first: what a crash leaves of it is verified or removed at the next start.
      this.#kept.set(digest, bytes);
      await this.#journal.append({ type: "blob", digest, bytes });
    }
    const object = { kind: "blob", digest } as const;
    const entry = { digest, bytes };
    await this.#files.have(
      { path: file, object, entry, objectName: blobKey(digest), artifact: "input", build },
      signal,
    );
    return file;
  }

  /** Removes inputs that no build on the shelf names any more. */
  async evictAllBut(needed: ReadonlySet<string>): Promise<void> {
    for (const digest of this.#kept.keys()) {
      if (needed.has(digest)) continue;
      await this.#journal.append({ type: "blobGone", digest });
      await this.#files.remove(path.join(this.#directory, digest));
      this.#kept.delete(digest);
    }
  }
}
