import path from "node:path";
import { abortable } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import type { InputName, Manifest } from "../build/manifest.ts";
import { blobKey } from "../build/object-keys.ts";
import type { Journal } from "./journal.ts";
import { onDisk } from "./on-disk.ts";
import type { WholeFiles } from "./whole-files.ts";

/** Inputs of builds on the shelf, by digest; builds share them. */
export class Blobs {
  readonly #directory: string;
  readonly #files: WholeFiles;
  readonly #journal: Journal;
  readonly #kept: Set<string>;
  /** Those that are being removed: who wants one waits, and has it fetched anew. */
  readonly #going = new Map<string, Promise<void>>();

  constructor(directory: string, files: WholeFiles, journal: Journal) {
    this.#directory = directory;
    this.#files = files;
    this.#journal = journal;
    this.#kept = new Set(journal.ledger.blobs.keys());
  }

  /** Resolves to the path of an input, whole and verified. */
  async have(manifest: Manifest, name: InputName, signal: AbortSignal): Promise<string> {
    const input = manifest.inputs.find((each) => each.name === name);
    const { build } = manifest;
    if (input === undefined) throw new Failure("invalid", `build ${build} has no input ${name}`);
    const { digest, bytes } = input;
    const file = path.join(this.#directory, digest);
    for (let going = this.#going.get(digest); going !== undefined; going = this.#going.get(digest)) {
      await abortable(going, signal);
    }
    if (!this.#kept.has(digest)) {
      // Told to the journal first: what a crash leaves of it is verified or removed at the next start.
      await onDisk(file, this.#journal.append({ type: "blob", digest, bytes }));
      this.#kept.add(digest);
    }
    const object = { kind: "blob", digest, bytes, build } as const;
    const entry = { digest, bytes };
    await this.#files.have(
      { path: file, object, entry, objectName: blobKey(digest), artifact: "input", build },
      signal,
    );
    return file;
  }

  /** The bytes of an input that lies here and was verified. */
  pieces(digest: string): AsyncIterable<Uint8Array> | undefined {
    return this.#files.pieces(path.join(this.#directory, digest));
  }

  /** Removes inputs that no build on the shelf names any more. */
  async evictUnless(isNeeded: (digest: string) => boolean): Promise<void> {
    for (const digest of this.#kept) {
      if (isNeeded(digest) || this.#going.has(digest)) continue;
      const going = this.#remove(digest).finally(() => this.#going.delete(digest));
      this.#going.set(
        digest,
        going.catch(() => {}),
      );
      await going;
    }
  }

  async #remove(digest: string): Promise<void> {
    await this.#journal.append({ type: "blobGone", digest });
    this.#kept.delete(digest);
    await this.#files.remove(path.join(this.#directory, digest));
  }
}
