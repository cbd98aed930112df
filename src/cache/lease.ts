import { Failure } from "../base/failure.ts";
import type { LendableDevice } from "../base/shared-image.ts";
import { type Artifact, type FileArtifact, type ImageArtifact, imageArtifacts } from "../build/artifact.ts";
import type { ArtifactIndex } from "../build/artifact-index.ts";
import { artifactsOf, type InputName, type Manifest } from "../build/manifest.ts";
import { missingBytes } from "./fetch-whole.ts";
import { type During, ImageDevice } from "./image-device.ts";
import { buildBelow, changesOver, isFlat, type MappedMemory } from "./mapped-memory.ts";
import type { Mappers } from "./mappers.ts";
import { readChunk } from "./read-chunk.ts";
import type { OpenImage, Residence } from "./residence.ts";

/** A claim on a residence. While it is held, nothing of the build leaves the shelf. Disposing twice is harmless. */
export interface Lease extends AsyncDisposable {
  readonly build: string;
  readonly manifest: Manifest;
  /** Settles per artifact: an image's index is there and verified, a file is whole. */
  open(artifact: Artifact, signal: AbortSignal): Promise<void>;
  /** Opens all that the manifest names, together; the first to fail for good ends the wait (C5). */
  openAll(signal: AbortSignal): Promise<void>;
  /** An opened image as a device whose missing chunks are fetched when read. */
  image(artifact: ImageArtifact): LendableDevice;
  /** The map of an opened image. */
  index(artifact: ImageArtifact): ArtifactIndex;
  /** The chunk file of an opened image. Who reads it by himself has to verify it, and it may be gone at any time. */
  source(artifact: ImageArtifact): string;
  /** Path of a small file, verified. */
  file(artifact: FileArtifact, signal: AbortSignal): Promise<string>;
  /** Path of the memfile, whole, verified and sealed: it may be mapped. */
  memfile(signal: AbortSignal): Promise<string>;
  /** What a machine's memory is made of; the image is open then. The file is sealed: it may be mapped. */
  memory(signal: AbortSignal): Promise<MappedMemory>;
  /** Whether it gains much to begin before its memory is whole; never with a layer. The image is open then. */
  lacksMemory(signal: AbortSignal): Promise<boolean>;
  /** The bytes of one chunk of an opened image, brought with so many of its neighbours. */
  chunk(
    artifact: ImageArtifact,
    chunk: number,
    groupChunks: number,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** Brings a chunk of an opened image, and so many neighbours, to the shelf; false when that cannot keep it. */
  bring(artifact: ImageArtifact, chunk: number, groupChunks: number, signal: AbortSignal): Promise<boolean>;
  /** Aborts when a memfile that was handed out by this lease turns out to be bad, and is made anew (C28). */
  readonly memfileRetired: AbortSignal;
  /** Path of an input, whole and verified. */
  input(name: InputName, signal: AbortSignal): Promise<string>;
}

/** Less than this is fetched sooner than anything can be begun without it. */
const partialBytesMin = 16 * 1024 * 1024;

/** Who takes a lease, and where in the program. */
export interface Taker {
  readonly holder: string;
  readonly where: string;
}

export interface LeaseOptions extends Taker {
  readonly residence: Residence;
  readonly since: number;
  readonly input: (manifest: Manifest, name: InputName, signal: AbortSignal) => Promise<string>;
  readonly end: (lease: HeldLease) => Promise<void>;
}

/** The one implementation of a lease; TemplateCache makes and counts them. */
export class HeldLease implements Lease {
  readonly holder: string;
  readonly where: string;
  readonly since: number;
  readonly #options: LeaseOptions;
  /** Leases on all builds that the indexes of this one refer to. */
  readonly #ancestors = new Map<string, HeldLease>();
  readonly #retired = new AbortController();
  /** Memfiles that were handed out. */
  readonly #mapped = new Set<Mappers>();
  readonly #over = new AbortController();
  /** Those under way, and what ends each. */
  readonly #reads = new Map<Promise<unknown>, AbortController>();
  #ending: Promise<void> | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.holder = options.holder;
    this.where = options.where;
    this.since = options.since;
  }

  get build(): string {
    return this.#options.residence.build;
  }

  get manifest(): Manifest {
    return this.#options.residence.manifest;
  }

  get residence(): Residence {
    return this.#options.residence;
  }

  get memfileRetired(): AbortSignal {
    return this.#retired.signal;
  }

  /** Takes leases on what the build refers to: a child holds all builds that its indexes name (C10). */
  async holdAncestors(acquire: (build: string) => Promise<HeldLease>): Promise<void> {
    const builds = new Set(this.manifest.ancestors.map(({ build }) => build));
    const taking = Array.from(builds, async (build) => {
      const lease = await acquire(build);
      this.#ancestors.set(build, lease);
    });
    // None may be taken after this lease was given back.
    const failed = (await Promise.allSettled(taking)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  async open(artifact: Artifact, signal: AbortSignal): Promise<void> {
    this.#checkHeld();
    if (artifact === "snapfile" || artifact === "metafile") await this.residence.openFile(artifact, signal);
    else await this.#openImage(artifact, signal);
  }

  async openAll(signal: AbortSignal): Promise<void> {
    this.#checkHeld();
    const together = new AbortController();
    const either = AbortSignal.any([signal, together.signal]);
    const waits = artifactsOf(this.manifest).map((artifact) => this.open(artifact, either));
    try {
      await Promise.all(waits);
    } catch (error) {
      together.abort(new Failure("cancelled", "another artifact of the build failed"));
      await Promise.allSettled(waits);
      throw error;
    }
  }

  image(artifact: ImageArtifact): LendableDevice {
    this.#checkHeld();
    const { index } = this.residence.image(artifact);
    const images = new Map<string, OpenImage>();
    const imageOf = (build: string): OpenImage => {
      const image = images.get(build);
      if (image === undefined) throw new Failure("internal", `build ${build} is not held by this lease`);
      return image;
    };
    images.set(this.build, this.residence.image(artifact));
    for (const build of index.builds()) {
      const held = this.#ancestors.get(build);
      if (held !== undefined) images.set(build, held.residence.image(artifact));
    }
    return new ImageDevice(index, imageOf, () => this.#checkHeld(), this.#during);
  }

  index(artifact: ImageArtifact): ArtifactIndex {
    this.#checkHeld();
    return this.residence.image(artifact).index;
  }

  source(artifact: ImageArtifact): string {
    this.#checkHeld();
    return this.residence.image(artifact).file.path;
  }

  async memory(signal: AbortSignal): Promise<MappedMemory> {
    await this.open("memfile", signal);
    const { index: layer } = this.residence.image("memfile");
    const below = isFlat(layer) ? this : this.#ancestor(buildBelow(layer));
    const { manifest, residence } = below;
    const { index } = residence.image("memfile");
    const changes = below === this ? [] : changesOver(layer, index);
    return { path: await this.#map(residence, signal), manifest, index, changes };
  }

  async lacksMemory(signal: AbortSignal): Promise<boolean> {
    await this.open("memfile", signal);
    const { file, index } = this.residence.image("memfile");
    return isFlat(index) && missingBytes(file) >= partialBytesMin;
  }

  chunk(
    artifact: ImageArtifact,
    chunk: number,
    groupChunks: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    this.#checkHeld();
    const read = (image: OpenImage, either: AbortSignal) => readChunk(image, chunk, { groupChunks }, either);
    return this.#during((either) => read(this.residence.image(artifact), either), signal);
  }

  async bring(
    artifact: ImageArtifact,
    chunk: number,
    groupChunks: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    this.#checkHeld();
    const { fetcher } = this.residence.image(artifact);
    return (
      (await this.#during((either) => fetcher.want(chunk, either, { groupChunks }), signal)) === undefined
    );
  }

  file(artifact: FileArtifact, signal: AbortSignal): Promise<string> {
    this.#checkHeld();
    return this.residence.openFile(artifact, signal);
  }

  memfile(signal: AbortSignal): Promise<string> {
    return this.#map(this.residence, signal);
  }

  input(name: InputName, signal: AbortSignal): Promise<string> {
    this.#checkHeld();
    return this.#options.input(this.manifest, name, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  /** Only after no read of its is under way (C15): they are given up, and waited for. */
  async #end(): Promise<void> {
    const reason = new Failure("cancelled", `the lease of ${this.holder} on build ${this.build} has ended`);
    this.#over.abort(reason);
    for (const read of this.#reads.values()) read.abort(reason);
    await Promise.allSettled(this.#reads.keys());
    for (const mappers of this.#mapped) mappers.delete(this);
    await this.#options.end(this);
    for (const ancestor of this.#ancestors.values()) await ancestor[Symbol.asyncDispose]();
  }

  readonly #during: During = async (read, signal) => {
    this.#checkHeld();
    // As `AbortSignal.any` does with the end of the lease; that takes several times as long.
    const end = new AbortController();
    const leave = () => end.abort(signal.reason);
    signal.addEventListener("abort", leave);
    if (signal.aborted) leave();
    const reading = read(end.signal);
    this.#reads.set(reading, end);
    try {
      return await reading;
    } finally {
      this.#reads.delete(reading);
      signal.removeEventListener("abort", leave);
    }
  };

  async #openImage(artifact: ImageArtifact, signal: AbortSignal): Promise<void> {
    const { index } = await this.residence.openImage(artifact, signal);
    for (const build of index.builds()) {
      if (build === this.build) continue;
      const held = this.#ancestor(build);
      const named = this.manifest.ancestors.find(
        (each) => each.build === build && each.artifact === artifact,
      );
      if (held.manifest[artifact]?.index.digest !== named?.index.digest) {
        throw new Failure(
          "corrupt",
          `${artifact} of build ${build} is not the one that ${this.build} was made over`,
        );
      }
      await held.residence.openImage(artifact, signal);
    }
  }

  /** Counts as one who maps the memfile of `residence` until this lease ends, and passes on that it is retired. */
  async #map(residence: Residence, signal: AbortSignal): Promise<string> {
    this.#checkHeld();
    const { path, mappers } = await this.#during((either) => residence.mapMemfile(this, either), signal);
    this.#mapped.add(mappers);
    const { retired } = mappers;
    const onRetired = () => this.#retired.abort(retired.reason);
    retired.addEventListener("abort", onRetired, { once: true, signal: this.#over.signal });
    return path;
  }

  #ancestor(build: string): HeldLease {
    const held = this.#ancestors.get(build);
    if (held !== undefined) return held;
    throw new Failure("corrupt", `build ${this.build} refers to ${build}; its manifest does not`);
  }

  #checkHeld(): void {
    if (this.#ending !== undefined)
      throw new Failure("internal", `the lease of ${this.holder} on build ${this.build} has ended`);
  }
}

/** For reports. */
export function artifactStates(residence: Residence): Record<Artifact, string> {
  const states = [...imageArtifacts, "snapfile", "metafile"] as const;
  return Object.fromEntries(states.map((artifact) => [artifact, residence.stateOf(artifact)])) as Record<
    Artifact,
    string
  >;
}
