import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import {
  type Artifact,
  chunkBytes,
  type FileArtifact,
  type ImageArtifact,
  imageArtifacts,
  requestChunksMax,
} from "../build/artifact.ts";
import { ArtifactIndex } from "../build/artifact-index.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import type { IndexBook } from "../build/index-book.ts";
import type { Manifest } from "../build/manifest.ts";
import { fileKey, indexKey } from "../build/object-keys.ts";
import type { CacheTools } from "./cache-tools.ts";
import { ChunkFetcher } from "./chunk-fetcher.ts";
import { ChunkFile } from "./chunk-file.ts";
import { Flights } from "./flights.ts";
import type { Journal } from "./journal.ts";
import type { Room } from "./room.ts";
import type { WholeFiles } from "./whole-files.ts";

/** What the journal knows of a build from before. */
export interface KeptBuild {
  readonly manifestDigest: string;
  readonly chunks: ReadonlyMap<ImageArtifact, ReadonlySet<number>>;
  readonly sealed: boolean;
  readonly usedAt: number;
}

export interface ResidenceOptions {
  readonly directory: string;
  readonly manifest: Manifest;
  readonly kept: KeptBuild;
  /** The last run did not end in order. */
  readonly suspect: boolean;
  readonly journal: Journal;
  readonly room: Room;
  readonly files: WholeFiles;
  readonly source: ChunkSource;
  readonly indexes: IndexBook;
  readonly tools: CacheTools;
}

/** An open image: its index, its chunks on the shelf, and what brings the missing ones. */
export interface OpenImage {
  readonly index: ArtifactIndex;
  readonly file: ChunkFile;
  readonly fetcher: ChunkFetcher;
}

export type ArtifactState = "absent" | "closed" | "opening" | "open" | "sealed";

/**
 * What this node has of one build: a directory on the shelf, and for each artifact
 *
 *   absent (the build has none)
 *   closed ──open──▶ opening ──▶ open ──seal (memfile)──▶ sealed
 *      ▲                └─failed─▶ closed: a failure is no state
 *
 * Who may use it, and when it may go, is decided by its leases: TemplateCache.
 */
export class Residence {
  readonly build: string;
  readonly manifest: Manifest;
  readonly #options: ResidenceOptions;
  readonly #images = new Map<ImageArtifact, OpenImage>();
  readonly #opening = new Flights<OpenImage>();
  readonly #openFiles = new Set<FileArtifact>();

  constructor(options: ResidenceOptions) {
    this.build = options.manifest.build;
    this.manifest = options.manifest;
    this.#options = options;
  }

  /** Opens an image: index verified, chunks to come when they are read. */
  async openImage(artifact: ImageArtifact, signal: AbortSignal): Promise<OpenImage> {
    const open = this.#images.get(artifact);
    if (open !== undefined) return open;
    return this.#opening.join(artifact, (flightSignal) => this.#openImage(artifact, flightSignal), signal);
  }

  /** An image that was opened before; a bug of the caller if not. */
  image(artifact: ImageArtifact): OpenImage {
    const open = this.#images.get(artifact);
    if (open === undefined) throw new Failure("internal", `${artifact} of build ${this.build} is not open`);
    return open;
  }

  /** Fetches a small file whole. Resolves to its path. */
  async openFile(artifact: FileArtifact, signal: AbortSignal): Promise<string> {
    const entry = this.manifest[artifact];
    if (entry === undefined) throw absent(artifact, this.build);
    const target = path.join(this.#options.directory, artifact);
    const object = { kind: "file", build: this.build, artifact } as const;
    const objectName = fileKey(this.build, artifact);
    await this.#options.files.have(
      { path: target, object, entry, objectName, artifact, build: this.build },
      signal,
    );
    this.#openFiles.add(artifact);
    return target;
  }

  /** Makes the memfile whole and seals it; resolves to its path. Waits for room within `signal`'s time (C18). */
  async sealMemfile(signal: AbortSignal): Promise<string> {
    const { file, fetcher } = await this.openImage("memfile", signal);
    if (file.sealed) return file.path;
    await this.#opening.join("seal", (flightSignal) => this.#seal(file, fetcher, flightSignal), signal);
    return file.path;
  }

  stateOf(artifact: Artifact): ArtifactState {
    if (this.manifest[artifact] === undefined) return "absent";
    if (artifact === "snapfile" || artifact === "metafile")
      return this.#openFiles.has(artifact) ? "open" : "closed";
    const open = this.#images.get(artifact);
    if (open === undefined) return this.#opening.count > 0 ? "opening" : "closed";
    return open.file.sealed ? "sealed" : "open";
  }

  get flights(): number {
    let flights = this.#opening.count;
    for (const { fetcher } of this.#images.values()) flights += fetcher.underWay;
    return flights;
  }

  /** Chunks that the shelf holds, by artifact, for a journal that is written anew. */
  keptChunks(): Map<ImageArtifact, Set<number>> {
    const kept = new Map<ImageArtifact, Set<number>>();
    for (const artifact of imageArtifacts) {
      const open = this.#images.get(artifact);
      const chunks = open === undefined ? (this.#options.kept.chunks.get(artifact) ?? []) : open.file.present;
      kept.set(artifact, new Set(chunks));
    }
    return kept;
  }

  /** Something that is kept of it is still to be verified (C22). */
  get isSuspect(): boolean {
    const { kept, suspect } = this.#options;
    const doubtful = (artifact: ImageArtifact) => {
      const open = this.#images.get(artifact);
      return open === undefined ? (kept.chunks.get(artifact)?.size ?? 0) > 0 : open.file.hasSuspects;
    };
    return suspect && imageArtifacts.some(doubtful);
  }

  get isSealed(): boolean {
    return this.#images.get("memfile")?.file.sealed ?? this.#options.kept.sealed;
  }

  /** Ends flights and closes files; everything stays on the disk. */
  async close(reason: Failure): Promise<void> {
    await this.#opening.abortAll(reason);
    for (const { fetcher, file } of this.#images.values()) {
      await fetcher.close(reason);
      await file.close();
    }
    for (const artifact of this.#images.keys()) this.#options.indexes.delete(this.build, artifact);
    this.#images.clear();
  }

  /** Removes what the shelf has of the build. `told` writes that to the journal: before, never after (C17). */
  async remove(told: () => Promise<void>): Promise<void> {
    const { directory, files, room } = this.#options;
    const chunkBytes = this.keptBytes;
    await this.close(new Failure("cancelled", "the build is evicted"));
    await told();
    const names = ["snapfile", "metafile", ...imageArtifacts.map((artifact) => `${artifact}.index`)];
    for (const name of names) await files.remove(path.join(directory, name));
    await rm(directory, { recursive: true, force: true });
    room.adjust(-chunkBytes);
  }

  /** Bytes of chunks on the shelf. */
  get keptBytes(): number {
    let bytes = 0;
    for (const [artifact, chunks] of this.keptChunks()) bytes += this.#bytesOf(artifact, chunks);
    return bytes;
  }

  #bytesOf(artifact: ImageArtifact, chunks: Set<number>): number {
    const storageBytes = this.manifest[artifact]?.storageBytes ?? 0;
    let bytes = 0;
    for (const chunk of chunks) bytes += Math.min(chunkBytes, storageBytes - chunk * chunkBytes);
    return bytes;
  }

  async #openImage(artifact: ImageArtifact, signal: AbortSignal): Promise<OpenImage> {
    const entry = this.manifest[artifact];
    if (entry === undefined) throw absent(artifact, this.build);
    const { directory, files, journal, kept, suspect, source, room, tools, indexes } = this.#options;
    const indexPath = path.join(directory, `${artifact}.index`);
    const object = { kind: "index", build: this.build, artifact } as const;
    const objectName = indexKey(this.build, artifact);
    await files.have(
      { path: indexPath, object, entry: entry.index, objectName, artifact, build: this.build },
      signal,
    );
    const expected = { build: this.build, artifact, image: entry };
    const index = ArtifactIndex.decode(await readFile(indexPath), expected);
    const file = await ChunkFile.open({
      path: path.join(directory, `${artifact}.data`),
      index,
      journal,
      kept: kept.chunks.get(artifact) ?? [],
      suspect,
      sealed: artifact === "memfile" && kept.sealed,
      onLost: (bytes, failure) => {
        room.adjust(-bytes);
        tools.diskTrouble(failure);
      },
    });
    if (signal.aborted) {
      await file.close(); // whoever comes next opens one of their own, and this one would be nobody's
      throw signal.reason;
    }
    indexes.set(index);
    const image: OpenImage = { index, file, fetcher: new ChunkFetcher({ file, source, room, tools }) };
    this.#images.set(artifact, image);
    return image;
  }

  async #seal(file: ChunkFile, fetcher: ChunkFetcher, signal: AbortSignal): Promise<OpenImage> {
    await fetchAll(file, fetcher, this.#options.room, `the memfile of build ${this.build}`, signal);
    await file.seal();
    this.#options.tools.meter.count("larder_cache_seals_total");
    return this.image("memfile");
  }
}

/** Requests under way at once for a file that must be whole. */
const wholeFileWorkers = 4;

/** Brings every chunk to the shelf. Throws `exhausted` when they do not all fit in time. */
async function fetchAll(
  file: ChunkFile,
  fetcher: ChunkFetcher,
  room: Room,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  const missing: number[] = [];
  for (let chunk = 0; chunk < file.index.chunkCount; chunk++) if (!file.isAtHand(chunk)) missing.push(chunk);
  // Looked for as a whole first, so that two files that both do not fit cannot each hold half of the room.
  const bytes = missing.length * chunkBytes;
  (await room.reserve(bytes, what, signal))[Symbol.dispose]();
  let next = 0;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const work = async () => {
    for (let at = next++; at < missing.length; at = next++) {
      const passedThrough = await fetcher.want(missing[at] ?? 0, either);
      if (passedThrough !== undefined) {
        throw new Failure(
          "exhausted",
          `${what} needs ${bytes} bytes, and the shelf's disk does not take them`,
        );
      }
    }
  };
  const workers = Array.from({ length: wholeFileWorkers * requestChunksMax }, work);
  try {
    await Promise.all(workers);
  } catch (error) {
    failed.abort(new Failure("cancelled", "another chunk of the file failed"));
    await Promise.allSettled(workers);
    throw error;
  }
}

function absent(artifact: Artifact, build: string): Failure {
  return new Failure("invalid", `build ${build} has no ${artifact}`);
}
