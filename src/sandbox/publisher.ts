import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Bucket } from "../bucket/bucket.ts";
import type { MadeBuild } from "../build/make-build.ts";
import { isBuildId } from "../build/manifest.ts";
import { putMadeBuild, readMadeManifest } from "../build/put-made-build.ts";

export interface PublisherOptions {
  readonly bucket: Bucket;
  /** One directory for each build that is not published yet: all that a publication puts. */
  readonly directory: string;
  /** Claims a build until it is published. */
  readonly lease: (build: string, signal: AbortSignal) => Promise<AsyncDisposable>;
  readonly onPublished: (build: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

interface Publication {
  readonly made: MadeBuild;
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
  readonly #waiting = new Map<string, Publication>();
  readonly #over = new AbortController();
  #current:
    | { readonly build: string; readonly cancel: AbortController; readonly done: Promise<void> }
    | undefined;
  #timer: Disposable | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Builds that are not in the bucket yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes up what a former run has left, but for builds that `isWanted` refuses; unfinished ones are removed. */
  async recall(isWanted: (build: string) => Promise<boolean>): Promise<void> {
    const { directory, lease, logger } = this.#options;
    for (const build of (await readdir(directory)).sort()) {
      const own = path.join(directory, build);
      const manifest = isBuildId(build) ? await readMadeManifest(own, build) : undefined;
      if (manifest === undefined || !(await isWanted(build))) {
        await rm(own, { recursive: true, force: true });
        continue;
      }
      logger.info({ build }, "a build is yet to be published");
      const held = await lease(build, this.#over.signal).catch((error: unknown) => {
        logger.warn({ build, error }, "a build that is yet to be published is not on the shelf");
        return undefined;
      });
      this.add({ manifest, directory: own }, held);
    }
  }

  /** Publishes a build as soon as possible. Its directory and its lease are given up when that is done. */
  add(made: MadeBuild, lease: AsyncDisposable | undefined): void {
    this.#waiting.set(made.manifest.build, { made, lease, notBefore: 0, pauseMs: pauseMsFirst });
    this.#next();
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
    const { build } = first.made.manifest;
    this.#current = { build, cancel, done: this.#publish(first, cancel.signal) };
  }

  /** Never rejects. */
  async #publish(publication: Publication, cancelled: AbortSignal): Promise<void> {
    const { bucket, clock, onPublished, meter } = this.#options;
    const { manifest, directory } = publication.made;
    const { build } = manifest;
    await Promise.resolve(); // `#current` is set by then
    try {
      const either = AbortSignal.any([cancelled, this.#over.signal]);
      const tools = { clock, leaving: this.#over.signal };
      await putMadeBuild(bucket, directory, manifest, tools, either);
      cancelled.throwIfAborted();
      this.#waiting.delete(build);
      meter.count("larder_builds_published_total");
      onPublished(build);
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
    logger.warn(
      { build: publication.made.manifest.build, error, pauseMs },
      "a build could not be published yet",
    );
  }

  async #giveUp({ made, lease }: Publication): Promise<void> {
    const { logger } = this.#options;
    await rm(made.directory, { recursive: true, force: true }).catch((error: unknown) => {
      logger.warn({ directory: made.directory, error }, "what was published could not be removed");
    });
    await lease?.[Symbol.asyncDispose]();
  }
}
