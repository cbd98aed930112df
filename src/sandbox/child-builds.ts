import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { deleteBuild } from "../build/delete-build.ts";
import { type BuildParts, type MadeBuild, makeBuild } from "../build/make-build.ts";
import type { MachineShape } from "../build/manifest.ts";
import type { ChildBuildRecords } from "../store/child-build-records.ts";
import type { BuildSource } from "./build-source.ts";
import type { Guest } from "./launcher.ts";
import { letGoOn } from "./let-go-on.ts";
import { PauseTimes } from "./pause-times.ts";
import { Publisher } from "./publisher.ts";
import { repacked } from "./repack.ts";

/** Where builds are kept on this node. The cache is one. */
export interface BuildShelf extends BuildSource {
  /** Durable and leased when it resolves. */
  adopt(made: MadeBuild, holder: string, signal: AbortSignal): Promise<AsyncDisposable>;
  /** False when it is leased, or not there. */
  evict(build: string): Promise<boolean>;
  /** It is in the bucket now: nobody is told any more that it is missing (C7). */
  announcePublished(build: string): void;
  /** Who leases it. */
  holdersOf(build: string): readonly string[];
}

/** A build made of a sandbox. It stays until this is disposed of, and then as long as something starts from it. */
export interface HeldBuild extends AsyncDisposable {
  readonly build: string;
}

/** Makes builds of sandboxes and forgets them; what a sandbox's life needs of that. */
export interface SnapshotKeeper {
  /**
   * Makes a build of a guest, durable on this node when it resolves, and on its way to the bucket. The guest is
   * stopped for it; with `goOn` it runs again as soon as it was copied.
   */
  take(guest: Guest, wish: { memory: boolean; goOn: boolean }, signal: AbortSignal): Promise<HeldBuild>;
  /** Keeps a build that was made before. */
  hold(build: string): HeldBuild;
  /** What a host must be like to run its memory; undefined when it has none, or is none of ours. */
  shapeOf(build: string): Promise<MachineShape | undefined>;
  /** Something that needed a build is gone: what nothing needs any more goes too, in its own time. */
  sweep(): void;
}

export interface ChildBuildsOptions {
  readonly records: ChildBuildRecords;
  readonly shelf: BuildShelf;
  readonly bucket: Bucket;
  /** For builds that are being made or published; on the disk of the shelf. */
  readonly directory: string;
  /** One more build is in the bucket. */
  readonly onPublished?: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

const holder = "publisher";

/** The builds that are made of sandboxes here: made, put on the shelf, published, removed when nothing needs them. */
export class ChildBuilds implements SnapshotKeeper, AsyncDisposable {
  readonly #options: ChildBuildsOptions;
  readonly #publisher: Publisher;
  readonly #held = new Map<string, number>();
  readonly #over = new AbortController();
  #sweeping: Promise<void> | undefined;
  #sweepAgain = false;

  private constructor(options: ChildBuildsOptions) {
    const { shelf } = options;
    this.#options = options;
    const lease = (build: string, signal: AbortSignal) => shelf.acquire(build, holder, signal);
    const onPublished = (build: string) => {
      shelf.announcePublished(build);
      options.logger.info({ build }, "a build of a sandbox was published");
      options.onPublished?.();
    };
    this.#publisher = new Publisher({ ...options, lease, onPublished });
  }

  /** Goes on where a former run stopped: publishes what is to be published, removes what nothing needs. */
  static async open(options: ChildBuildsOptions): Promise<ChildBuilds> {
    const { directory, records } = options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const builds = new ChildBuilds(options);
    await builds.#publisher.recall(async (build) => (await records.get(build)) !== undefined);
    builds.sweep();
    return builds;
  }

  /** Builds that are not in the bucket yet. */
  get unpublished(): number {
    return this.#publisher.waiting;
  }

  async take(
    guest: Guest,
    { memory, goOn }: { memory: boolean; goOn: boolean },
    signal: AbortSignal,
  ): Promise<HeldBuild> {
    const build = randomUUID();
    const directory = path.join(this.#options.directory, build);
    await mkdir(directory, { mode: 0o700 });
    const held = this.hold(build);
    try {
      let parts: BuildParts;
      try {
        parts = await guest.capture({ directory, memory }, signal);
      } finally {
        if (goOn) await this.#letGoOn(guest);
      }
      await this.#keep(build, parts, directory, signal);
      return held;
    } catch (error) {
      await held[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
      throw Failure.from(error);
    }
  }

  hold(build: string): HeldBuild {
    this.#held.set(build, (this.#held.get(build) ?? 0) + 1);
    let held = true;
    return {
      build,
      [Symbol.asyncDispose]: async () => {
        if (!held) return;
        held = false;
        const left = (this.#held.get(build) ?? 1) - 1;
        if (left > 0) this.#held.set(build, left);
        else this.#held.delete(build);
        this.sweep();
      },
    };
  }

  async shapeOf(build: string): Promise<MachineShape | undefined> {
    return (await this.#options.records.get(build))?.shape;
  }

  sweep(): void {
    if (this.#over.signal.aborted) return;
    this.#sweepAgain = true;
    this.#sweeping ??= this.#sweepAll().finally(() => {
      this.#sweeping = undefined;
    });
  }

  /** Resolves when no sweep is under way. */
  async swept(): Promise<void> {
    while (this.#sweeping !== undefined) await this.#sweeping;
  }

  async close(): Promise<void> {
    this.#over.abort(new Failure("cancelled", "the daemon is stopping"));
    await this.swept();
    await this.#publisher.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A machine that does not go on is no more: its sandbox learns that it is lost. */
  async #letGoOn(guest: Guest): Promise<void> {
    try {
      await letGoOn(guest, this.#options.clock);
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #keep(build: string, parts: BuildParts, directory: string, signal: AbortSignal): Promise<void> {
    const { records, shelf, clock, meter } = this.#options;
    const times = new PauseTimes(clock, meter);
    const createdAt = new Date(clock.now()).toISOString();
    const images = await times.measure("repack", () => this.#repacked(parts.images, signal));
    const made = await times.measure("pack", () =>
      makeBuild({ ...parts, images, build, createdAt, directory }, signal),
    );
    const ancestors = [...new Set(made.manifest.ancestors.map((each) => each.build))];
    const { shape } = parts;
    // First, so that a sweep finds it whatever comes of the rest.
    await records.insert({ id: build, ancestors, ...(shape === undefined ? {} : { shape }) });
    const lease = await times.measure("adopt", () => shelf.adopt(made, holder, signal));
    this.#publisher.add(made, lease);
  }

  /** A chain that cannot be shortened now, since something of it cannot be read, grows by one more. */
  async #repacked(images: BuildParts["images"], signal: AbortSignal): Promise<BuildParts["images"]> {
    const { shelf, logger } = this.#options;
    const { rootfs } = images;
    if (typeof rootfs !== "object") return images;
    try {
      return { ...images, rootfs: await repacked(rootfs, shelf, signal) };
    } catch (error) {
      signal.throwIfAborted();
      logger.warn({ build: rootfs.parent.manifest.build, error }, "a chain of builds could not be shortened");
      return images;
    }
  }

  /** One at a time; whoever asks meanwhile gets another round. */
  async #sweepAll(): Promise<void> {
    const { records, logger } = this.#options;
    await Promise.resolve();
    while (this.#sweepAgain && !this.#over.signal.aborted) {
      this.#sweepAgain = false;
      try {
        for (const build of await records.unneeded(this.#held.keys())) await this.#remove(build);
      } catch (error) {
        if (!this.#over.signal.aborted)
          logger.warn({ error }, "builds that nothing needs could not be removed yet");
      }
    }
  }

  /** Its record goes last: what keeps it from being removed now is tried again by a later sweep. */
  async #remove(build: string): Promise<void> {
    const { records, shelf, bucket, logger } = this.#options;
    await this.#publisher.drop(build);
    // A machine that ends just now has it still; a sweep follows that.
    if (shelf.holdersOf(build).length > 0) return;
    await deleteBuild(bucket, build, this.#over.signal);
    await shelf.evict(build);
    await records.delete(build);
    logger.info({ build }, "a build that nothing needs any more was removed");
  }
}
