import type { BlockDevice } from "../base/block-device.ts";
import { Failure } from "../base/failure.ts";
import { type Artifact, type FileArtifact, type ImageArtifact, imageArtifacts } from "../build/artifact.ts";
import type { ArtifactIndex } from "../build/artifact-index.ts";
import { artifactsOf, type InputName, type Manifest } from "../build/manifest.ts";
import { type During, ImageDevice } from "./image-device.ts";
import { buildBelow, changesOver, isFlat, type MappedMemory } from "./mapped-memory.ts";
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
  image(artifact: ImageArtifact): BlockDevice;
  /** The map of an opened image. */
  index(artifact: ImageArtifact): ArtifactIndex;
  /** Path of a small file, verified. */
  file(artifact: FileArtifact, signal: AbortSignal): Promise<string>;
  /** Path of the memfile, whole, verified and sealed: it may be mapped. */
  memfile(signal: AbortSignal): Promise<string>;
  /** What a machine's memory is made of; the image is open then. The file is sealed: it may be mapped. */
  memory(signal: AbortSignal): Promise<MappedMemory>;
  /** Path of an input, whole and verified. */
  input(name: InputName, signal: AbortSignal): Promise<string>;
}

export interface LeaseOptions {
  readonly residence: Residence;
  readonly holder: string;
  readonly since: number;
  /** Takes a lease on another build for this one: a child holds all builds that its indexes refer to (C14). */
  readonly acquire: (build: string, signal: AbortSignal) => Promise<HeldLease>;
  readonly input: (manifest: Manifest, name: InputName, signal: AbortSignal) => Promise<string>;
  readonly end: (lease: HeldLease) => Promise<void>;
}

/** The one implementation of a lease; TemplateCache makes and counts them. */
export class HeldLease implements Lease {
  readonly holder: string;
  readonly since: number;
  readonly #options: LeaseOptions;
  readonly #ancestors = new Map<string, Promise<HeldLease>>();
  readonly #over = new AbortController();
  readonly #reads = new Set<Promise<unknown>>();
  #ending: Promise<void> | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.holder = options.holder;
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

  image(artifact: ImageArtifact): BlockDevice {
    this.#checkHeld();
    const { index } = this.residence.image(artifact);
    const images = new Map<string, OpenImage>();
    const imageOf = (build: string): OpenImage => {
      const image = images.get(build);
      if (image === undefined) throw new Failure("internal", `build ${build} is not held by this lease`);
      return image;
    };
    images.set(this.build, this.residence.image(artifact));
    for (const [build, lease] of this.#opened) images.set(build, lease.residence.image(artifact));
    return new ImageDevice(index, imageOf, () => this.#checkHeld(), this.#during);
  }

  index(artifact: ImageArtifact): ArtifactIndex {
    this.#checkHeld();
    return this.residence.image(artifact).index;
  }

  async memory(signal: AbortSignal): Promise<MappedMemory> {
    this.#checkHeld();
    await this.#openImage("memfile", signal);
    const { index: layer } = this.residence.image("memfile");
    const flat = isFlat(layer);
    const below = flat ? this.residence : (await this.#ancestor(buildBelow(layer), signal)).residence;
    const { manifest } = below;
    const { index } = below.image("memfile");
    const changes = flat ? [] : changesOver(layer, index);
    return { path: await below.sealMemfile(signal), manifest, index, changes };
  }

  file(artifact: FileArtifact, signal: AbortSignal): Promise<string> {
    this.#checkHeld();
    return this.residence.openFile(artifact, signal);
  }

  memfile(signal: AbortSignal): Promise<string> {
    this.#checkHeld();
    return this.residence.sealMemfile(signal);
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
    this.#over.abort(
      new Failure("cancelled", `the lease of ${this.holder} on build ${this.build} has ended`),
    );
    await Promise.allSettled(this.#reads);
    await this.#options.end(this);
    for (const ancestor of this.#ancestors.values()) {
      await ancestor.then((lease) => lease[Symbol.asyncDispose]()).catch(() => {});
    }
  }

  readonly #during: During = async (read, signal) => {
    this.#checkHeld();
    const reading = read(AbortSignal.any([signal, this.#over.signal]));
    this.#reads.add(reading);
    try {
      return await reading;
    } finally {
      this.#reads.delete(reading);
    }
  };

  /** Leases on ancestors whose image is open. */
  readonly #opened = new Map<string, HeldLease>();

  async #openImage(artifact: ImageArtifact, signal: AbortSignal): Promise<void> {
    const { index } = await this.residence.openImage(artifact, signal);
    for (const build of index.builds()) {
      if (build === this.build) continue;
      const lease = await this.#ancestor(build, signal);
      await lease.residence.openImage(artifact, signal);
      this.#opened.set(build, lease);
    }
  }

  async #ancestor(build: string, signal: AbortSignal): Promise<HeldLease> {
    const held = this.#ancestors.get(build) ?? this.#options.acquire(build, signal);
    this.#ancestors.set(build, held);
    try {
      return await held;
    } catch (error) {
      if (this.#ancestors.get(build) === held) this.#ancestors.delete(build); // a failure is not kept
      throw error;
    }
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
