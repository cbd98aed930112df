import path from "node:path";
import { Failure } from "../base/failure.ts";
import { type Artifact, type FileArtifact, type ImageArtifact, imageArtifacts } from "../build/artifact.ts";
import { ArtifactIndex } from "../build/artifact-index.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import type { IndexBook } from "../build/index-book.ts";
import type { Manifest } from "../build/manifest.ts";
import { fileKey, indexKey } from "../build/object-keys.ts";
import type { BuildRoom } from "./build-room.ts";
import type { CacheTools } from "./cache-tools.ts";
import { ChunkFetcher } from "./chunk-fetcher.ts";
import { ChunkFile } from "./chunk-file.ts";
import type { Disk } from "./disk.ts";
import { fetchWhole } from "./fetch-whole.ts";
import { Flights } from "./flights.ts";
import type { Journal } from "./journal.ts";
import { keptBytesOf } from "./kept-bytes.ts";
import { orLackOfRoom } from "./lack-of-room.ts";
import type { KeptBuild } from "./ledger.ts";
import type { Leftovers } from "./leftovers.ts";
import { Mappers } from "./mappers.ts";
import { shrink } from "./shrink.ts";
import type { WholeFiles } from "./whole-files.ts";

export interface ResidenceOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly manifest: Manifest;
  /** What the journal knows of it; it changes as records are written. */
  readonly kept: () => KeptBuild;
  /** What is kept of it must be verified first: the last run did not end in order. */
  readonly suspect: boolean;
  readonly journal: Journal;
  readonly room: Pick<BuildRoom, "tryReserve" | "reserveLarge" | "adjust" | "lackFor" | "settled">;
  readonly files: WholeFiles;
  readonly source: ChunkSource;
  readonly leftovers: Leftovers;
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
  readonly #opening: Flights<OpenImage>;
  readonly #openFiles = new Set<FileArtifact>();
  #suspect: boolean;
  #mappers = new Mappers();

  constructor(options: ResidenceOptions) {
    this.build = options.manifest.build;
    this.manifest = options.manifest;
    this.#options = options;
    this.#suspect = options.suspect;
    this.#opening = new Flights(options.tools.clock, () => options.tools.joined("image"));
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

  /**
   * Makes the memfile whole and seals it; resolves to its path, and to who else maps it. Waits for room within
   * `signal`'s time (C18). `holder` counts as one who maps it until it leaves the mappers.
   */
  async mapMemfile(holder: object, signal: AbortSignal): Promise<{ path: string; mappers: Mappers }> {
    const { file, fetcher } = await this.openImage("memfile", signal);
    const seal = (flightSignal: AbortSignal) => this.#seal(file, fetcher, flightSignal);
    const join = () => this.#opening.join("seal", seal, signal);
    while (!file.sealed) await orLackOfRoom(this.#options.room, this.#memfileName, join, signal);
    this.#mappers.add(holder);
    return { path: file.path, mappers: this.#mappers };
  }

  stateOf(artifact: Artifact): ArtifactState {
    if (this.manifest[artifact] === undefined) return "absent";
    if (artifact === "snapfile" || artifact === "metafile")
      return this.#openFiles.has(artifact) ? "open" : "closed";
    const open = this.#images.get(artifact);
    if (open === undefined) return this.#opening.has(artifact) ? "opening" : "closed";
    return open.file.sealed ? "sealed" : "open";
  }

  get flights(): number {
    let flights = this.#opening.count;
    for (const { fetcher } of this.#images.values()) flights += fetcher.underWay;
    return flights;
  }

  /** Something that is kept of it is still to be verified (C22). */
  get isSuspect(): boolean {
    const doubtful = (artifact: ImageArtifact) =>
      this.#images.get(artifact)?.file.isDoubtful ?? this.#suspect;
    return imageArtifacts.some((artifact) => this.manifest[artifact] !== undefined && doubtful(artifact));
  }

  /** Bytes of the build on the shelf: chunks and whole files. */
  get bytes(): number {
    return this.#options.files.bytesBelow(this.#options.directory) + this.chunkBytes;
  }

  get chunkBytes(): number {
    let bytes = 0;
    for (const artifact of imageArtifacts) bytes += this.keptBytes(artifact);
    return bytes;
  }

  /** Bytes of the chunks of one artifact that take up space. */
  keptBytes(artifact: ImageArtifact): number {
    const open = this.#images.get(artifact);
    return open?.file.keptBytes ?? keptBytesOf(this.manifest, artifact, this.#options.kept());
  }

  /** Ends flights and closes files; everything that is kept stays on the disk. */
  async close(reason: Failure): Promise<void> {
    await this.#opening.abortAll(reason);
    let suspect = this.isSuspect;
    for (const { fetcher, file } of this.#images.values()) {
      await fetcher.close(reason);
      await file.close();
      suspect ||= file.isDoubtful;
    }
    await this.#options.room.settled();
    this.#suspect = suspect;
    for (const artifact of this.#images.keys()) this.#options.indexes.delete(this.build, artifact);
    this.#images.clear();
  }

  /** Removes what the shelf has of the build. `told` writes that to the journal: before, never after (C17). */
  async remove(told: () => Promise<void>): Promise<void> {
    await this.close(new Failure("cancelled", "the build is evicted"));
    const bytes = this.chunkBytes;
    await told();
    await this.#options.leftovers.remove(this.build, bytes);
  }

  /** Frees some bytes of chunks, to make room. Nobody may lease it meanwhile. */
  async shrink(bytes: number): Promise<void> {
    await this.close(new Failure("cancelled", "a part of the build is evicted"));
    await shrink({ ...this.#options, kept: this.#options.kept() }, bytes);
  }

  async #openImage(artifact: ImageArtifact, signal: AbortSignal): Promise<OpenImage> {
    const { disk, directory, journal, source, room, tools, indexes } = this.#options;
    const index = await this.#readIndex(artifact, signal);
    const kept = this.#options.kept();
    const file = await ChunkFile.open(
      {
        disk,
        path: path.join(directory, `${artifact}.data`),
        index,
        journal,
        kept: kept.chunks.get(artifact) ?? [],
        suspect: this.#suspect,
        sealed: artifact === "memfile" && kept.sealed,
        onFreed: (bytes) => room.adjust(-bytes),
        onRetired: (bytes) => this.#onRetired(bytes),
        onTrouble: (failure) => tools.diskTrouble(failure),
      },
      signal,
    );
    indexes.set(index);
    const image: OpenImage = { index, file, fetcher: new ChunkFetcher({ file, source, room, tools }) };
    this.#images.set(artifact, image);
    return image;
  }

  async #readIndex(artifact: ImageArtifact, signal: AbortSignal): Promise<ArtifactIndex> {
    const image = this.manifest[artifact];
    if (image === undefined) throw absent(artifact, this.build);
    const { directory, files } = this.#options;
    const object = { kind: "index", build: this.build, artifact } as const;
    const place = {
      path: path.join(directory, `${artifact}.index`),
      objectName: indexKey(this.build, artifact),
    };
    const file = { ...place, object, entry: image.index, artifact, build: this.build };
    return ArtifactIndex.decode(await files.bytes(file, signal), { build: this.build, artifact, image });
  }

  get #memfileName(): string {
    return `the memfile of build ${this.build}`;
  }

  async #seal(file: ChunkFile, fetcher: ChunkFetcher, signal: AbortSignal): Promise<OpenImage> {
    await fetchWhole(file, fetcher, this.#options.room, this.#memfileName, signal);
    if (await file.seal(signal)) this.#options.tools.meter.count("larder_cache_seals_total");
    return this.image("memfile");
  }

  /** A bad memfile was given up: who maps it is told, and its bytes count until all of them have ended (C28). */
  #onRetired(bytes: number): void {
    const { room, tools } = this.#options;
    tools.meter.count("larder_cache_retirements_total");
    const mappers = this.#mappers;
    this.#mappers = new Mappers();
    mappers.retire(this.#memfileName, () => room.adjust(-bytes));
  }
}

function absent(artifact: Artifact, build: string): Failure {
  return new Failure("invalid", `build ${build} has no ${artifact}`);
}
