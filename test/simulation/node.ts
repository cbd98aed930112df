import { silentLogger } from "../../src/base/logger.ts";
import { MemoryMeter } from "../../src/base/testing/memory-meter.ts";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { fetchRetries } from "../../src/build/retry.ts";
import { IndexBook } from "../../src/build/index-book.ts";
import { retried } from "../../src/build/retried.ts";
import { verified } from "../../src/build/verified.ts";
import { TemplateCache } from "../../src/cache/template-cache.ts";
import { type Library, shelfBytes } from "./library.ts";
import { ProcessClock, type SimulatedTime } from "./simulated-clock.ts";
import { ProcessDisk, type SimulatedDisk } from "./simulated-disk.ts";
import { SimulatedSources, type Weather } from "./simulated-sources.ts";

/** One process on a node: the production cache over what is simulated. */
export class Node {
  readonly directory = "/shelf";
  readonly clock: ProcessClock;
  readonly disk: ProcessDisk;
  readonly meter = new MemoryMeter();
  readonly #library: Library;
  readonly #weather: Weather;
  readonly #random: SeededRandom;
  #cache: TemplateCache | undefined;

  constructor(
    library: Library,
    disk: SimulatedDisk,
    weather: Weather,
    time: SimulatedTime,
    random: SeededRandom,
  ) {
    this.clock = new ProcessClock(time);
    this.disk = new ProcessDisk(disk, this.clock);
    this.#library = library;
    this.#weather = weather;
    this.#random = new SeededRandom(random.below(2 ** 31));
  }

  get cache(): TemplateCache {
    if (this.#cache === undefined) throw new Error("the node has not started");
    return this.#cache;
  }

  get isDead(): boolean {
    return this.disk.isDead;
  }

  get leftOpen(): number {
    return this.disk.openFiles;
  }

  async start(): Promise<void> {
    const { clock, disk, directory, meter } = this;
    const random = this.#random;
    const indexes = new IndexBook();
    const sources = new SimulatedSources(this.#library, this.#weather, clock, random);
    const chunks = retried(verified(sources.chunks, indexes, meter), {
      clock,
      random,
      meter,
      ...fetchRetries,
    });
    this.#cache = await TemplateCache.open({
      ...{ directory, disk, bytesMax: shelfBytes, chunks, objects: sources.objects, indexes },
      ...{ clock, random, meter, logger: silentLogger },
    });
    await this.#cache.settle();
  }

  close(): Promise<void> {
    return this.cache.close();
  }

  die(): void {
    this.disk.isDead = true;
    this.clock.die();
  }
}
