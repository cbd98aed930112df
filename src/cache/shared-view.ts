import { Failure } from "../base/failure.ts";
import { chunkBytes, type ImageArtifact } from "../build/artifact.ts";
import type { HeldLease } from "./lease.ts";
import type { OpenImage } from "./residence.ts";
import type { TemplateCache } from "./template-cache.ts";

/** The holder of leases that are taken for other nodes; they are no use of the build by this one. */
const holder = "a peer";

type SharedCache = Pick<TemplateCache, "lendKept" | "holdersOf" | "inputPieces">;

/** What other nodes may see of the shelf (C23). */
export class SharedView {
  readonly #cache: SharedCache;

  constructor(cache: SharedCache) {
    this.#cache = cache;
  }

  /** Leases what the shelf has of a build; undefined when that is nothing. Fetches nothing. */
  claim(build: string): SharedBuild | undefined {
    const lease = this.#cache.lendKept(build, holder);
    return lease && new SharedBuild(lease, this.#cache);
  }
}

/** A build of the shelf, leased for another node. */
export class SharedBuild implements AsyncDisposable {
  readonly #lease: HeldLease;
  readonly #cache: SharedCache;

  constructor(lease: HeldLease, cache: SharedCache) {
    this.#lease = lease;
    this.#cache = cache;
  }

  /** Somebody on this node uses the build just now. */
  get leased(): boolean {
    return this.#cache.holdersOf(this.#lease.build).some((each) => each !== holder);
  }

  /** An image of which chunks are kept; undefined when there are none, or when the shelf cannot be read. */
  async kept(artifact: ImageArtifact, signal: AbortSignal): Promise<SharedImage | undefined> {
    if (this.#lease.residence.keptBytes(artifact) === 0) return undefined;
    return await this.opened(artifact, signal).catch(() => undefined);
  }

  /** An image whose index is fetched when it is missing. */
  async opened(artifact: ImageArtifact, signal: AbortSignal): Promise<SharedImage> {
    return new SharedImage(await this.#lease.residence.openImage(artifact, signal));
  }

  /** Digests of the inputs that are here. */
  get inputs(): readonly string[] {
    const digests = this.#lease.manifest.inputs.map(({ digest }) => digest);
    return digests.filter((digest) => this.#cache.inputPieces(digest) !== undefined);
  }

  /** The bytes of an input that is here. */
  keptInput(digest: string): AsyncIterable<Uint8Array> | undefined {
    return this.inputs.includes(digest) ? this.#cache.inputPieces(digest) : undefined;
  }

  /** Joins the flight that brings an input, or starts one. */
  async fetchedInput(digest: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const input = this.#lease.manifest.inputs.find((each) => each.digest === digest);
    if (input === undefined) throw new Failure("not_found", `build ${this.#lease.build} has no such input`);
    await this.#lease.input(input.name, signal);
    const pieces = this.#cache.inputPieces(digest);
    if (pieces === undefined) throw new Failure("unavailable", `input ${input.name} was lost again`);
    return pieces;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lease[Symbol.asyncDispose]();
  }
}

/** An image of the shelf, chunk by chunk. */
export class SharedImage {
  readonly #image: OpenImage;

  constructor(image: OpenImage) {
    this.#image = image;
  }

  get chunkCount(): number {
    return this.#image.index.chunkCount;
  }

  /** It lies on the shelf, verified. */
  has(chunk: number): boolean {
    return this.#image.file.present.has(chunk);
  }

  /** The bytes of a chunk that is at hand and can be read. */
  read(chunk: number): Uint8Array | undefined {
    const { file, index } = this.#image;
    const place = index.chunk(chunk);
    if (place.zero) return Buffer.alloc(place.bytes);
    if (!file.isAtHand(chunk)) return undefined;
    const bytes = Buffer.allocUnsafe(place.bytes);
    try {
      file.readNow(chunk * chunkBytes, bytes);
      return bytes;
    } catch {
      return undefined; // whoever reads it here is told; a peer looks elsewhere
    }
  }

  /** Joins the flight that brings a chunk, or starts one. */
  async fetched(chunk: number, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = (await this.#image.fetcher.want(chunk, signal)) ?? this.read(chunk);
    if (bytes === undefined) throw new Failure("unavailable", `chunk ${chunk} was lost again`);
    return bytes;
  }
}
