import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { type MadeFiles, realMadeFiles } from "../build/made-files.ts";
import type { MadeBuild } from "../build/make-build.ts";
import { isBuildId, type Manifest } from "../build/manifest.ts";
import { putMadeBuild, readMadeManifest } from "../build/put-made-build.ts";

export interface PublisherOptions {
  readonly bucket: Bucket;
  /** One directory for each build that is not published yet: all that a publication puts. */
  readonly directory: string;
  /** Those of the machine's own disk unless said. */
  readonly files?: MadeFiles | undefined;
  /** Claims a build until it is published. */
  readonly lease: (build: string, signal: AbortSignal) => Promise<AsyncDisposable>;
  readonly onPublished: (build: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

interface Publication {
  readonly build: string;
  readonly directory: string;
  /** Undefined when a former run has left it, and the disk did not let it be read yet. */
  manifest: Manifest | undefined;
  readonly lease: AsyncDisposable | undefined;
  /** By the clock that never jumps. */
  notBefore: number;
  pauseMs: number;
}

/** The pause after a failed attempt; it doubles each time. */
const pauseMsFirst = 1_000;
const pauseMsMax = 60_000;

/**
 * Brings builds that were made on this node to the bucket, one at a time in the order they came; what fails is tried
 * again, for as long as it takes. A build that refers to another one waits for that (C26). What is left when this ends
 * is taken up again by the next one (C27).
 */
export class Publisher implements AsyncDisposable {
  readonly #options: PublisherOptions;
  readonly #files: MadeFiles;
  readonly #waiting = new Map<string, Publication>();
  readonly #over = new AbortController();
  #current:
    | { readonly build: string; readonly cancel: AbortController; readonly done: Promise<void> }
    | undefined;
  #timer: Disposable | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#files = options.files ?? realMadeFiles;
  }

  /** Builds that are not in the bucket yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Takes up what a former run has left, but for builds that `isWanted` refuses; unfinished ones are removed. One that
   * the disk does not let be read now may be whole: it is looked at again when its turn to be published comes.
   */
  async recall(isWanted: (build: string) => Promise<boolean>): Promise<void> {
    const { logger } = this.#options;
    for (const build of (await this.#files.list(this.#options.directory)).sort()) {
      const directory = path.join(this.#options.directory, build);
      const isOurs = isBuildId(build) && (await isWanted(build));
      const left = isOurs ? await this.#left(directory, build) : undefined;
      if (left === undefined) {
        await this.#files.remove(directory);
        continue;
      }
      logger.info({ build }, "a build is yet to be published");
      const lease = await this.#options.lease(build, this.#over.signal).catch((error: unknown) => {
        logger.warn({ build, error }, "a build that is yet to be published is not on the shelf");
        return undefined;
      });
      this.#add({ build, directory, manifest: left.manifest, lease });
    }
  }

  /** Publishes a build as soon as possible. Its directory and its lease are given up when that is done. */
  add(made: MadeBuild, lease: AsyncDisposable | undefined): void {
    this.#add({ ...made, build: made.manifest.build, lease });
  }

  /** The build is not wanted any more. Resolves when nothing is put of it and nothing is held. */
  async drop(build: string): Promise<void> {
    const publication = this.#waiting.get(build);
    if (publication === undefined) {
      // It is published by now, and what was held for that is given up.
      if (this.#current?.build === build) await this.#current.done;
      return;
    }
    this.#waiting.delete(build);
    if (this.#current?.build === build) {
      this.#current.cancel.abort(new Failure("cancelled", `build ${build} is not wanted any more`));
      await this.#current.done;
    }
    await this.#giveUp(publication);
    this.#next();
  }

  /** Aborts what is under way and keeps everything for the next start. */
  async close(): Promise<void> {
    this.#over.abort(new Failure("cancelled", "the daemon is stopping"));
    this.#timer?.[Symbol.dispose]();
    await this.#current?.done;
    for (const { lease } of this.#waiting.values()) await lease?.[Symbol.asyncDispose]();
    this.#waiting.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #add(publication: Omit<Publication, "notBefore" | "pauseMs">): void {
    this.#waiting.set(publication.build, { ...publication, notBefore: 0, pauseMs: pauseMsFirst });
    this.#next();
  }

  /** What lies in a directory: undefined when it is no finished build; without a manifest when nobody knows yet. */
  async #left(directory: string, build: string): Promise<Pick<Publication, "manifest"> | undefined> {
    try {
      const manifest = await readMadeManifest(directory, build, this.#files);
      return manifest && { manifest };
    } catch (error) {
      if (Failure.is(error, "invalid")) throw error;
      this.#options.logger.warn({ directory, error }, "a build that is yet to be published cannot be read");
      return { manifest: undefined };
    }
  }

  #next(): void {
    this.#options.meter.gauge("larder_builds_unpublished", this.#waiting.size);
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#current !== undefined || this.#over.signal.aborted) return;
    const { clock } = this.#options;
    const first = [...this.#waiting.values()].reduce<Publication | undefined>(
      (soonest, each) => (soonest === undefined || each.notBefore < soonest.notBefore ? each : soonest),
      undefined,
    );
    if (first === undefined) return;
    const waitMs = first.notBefore - clock.monotonic();
    if (waitMs > 0) {
      this.#timer = clock.after(waitMs, () => this.#next());
      return;
    }
    const cancel = new AbortController();
    const { build } = first;
    this.#current = { build, cancel, done: this.#publish(first, cancel.signal) };
  }

  /** Never rejects. */
  async #publish(publication: Publication, cancelled: AbortSignal): Promise<void> {
    const { bucket, clock, onPublished, meter } = this.#options;
    const { build, directory } = publication;
    await Promise.resolve(); // `#current` is set by then
    try {
      const either = AbortSignal.any([cancelled, this.#over.signal]);
      publication.manifest ??= await readMadeManifest(directory, build, this.#files);
      const { manifest } = publication;
      const tools = { clock, leaving: this.#over.signal, files: this.#files };
      if (manifest !== undefined)
        await putMadeBuild({ bucket, made: { manifest, directory }, ...tools }, either);
      cancelled.throwIfAborted();
      this.#waiting.delete(build);
      if (manifest !== undefined) {
        meter.count("larder_builds_published_total");
        onPublished(build);
      }
      await this.#giveUp(publication);
    } catch (error) {
      if (!cancelled.aborted && !this.#over.signal.aborted) this.#putOff(publication, error);
    } finally {
      this.#current = undefined;
      this.#next();
    }
  }

  #putOff(publication: Publication, error: unknown): void {
    const { clock, logger } = this.#options;
    const { pauseMs } = publication;
    publication.notBefore = clock.monotonic() + pauseMs;
    publication.pauseMs = Math.min(2 * pauseMs, pauseMsMax);
    logger.warn({ build: publication.build, error, pauseMs }, "a build could not be published yet");
  }

  async #giveUp({ directory, lease }: Publication): Promise<void> {
    const { logger } = this.#options;
    await this.#files.remove(directory).catch((error: unknown) => {
      logger.warn({ directory, error }, "what was published could not be removed");
    });
    await lease?.[Symbol.asyncDispose]();
  }
}
