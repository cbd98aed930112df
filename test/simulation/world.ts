import assert from "node:assert/strict";
import { Failure } from "../../src/base/failure.ts";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { Library } from "./library.ts";
import { Node } from "./node.ts";
import { checkBooks, checkEmpty, checkKept } from "./checks.ts";
import { read } from "./reader.ts";
import { SimulatedTime } from "./simulated-clock.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import type { Weather } from "./simulated-sources.ts";

/** Nothing in a world may take longer than this, in virtual milliseconds. */
const patienceMs = 3_600_000;

/**
 * One world: a node with the production cache, over a disk that loses what was not synced, and a bucket that lies. It
 * lives some lives, each of which ends in order, by a kill or by a loss of power; readers come and go, and compare
 * every byte with the model. At the end the weather is fine, and everything must be there again. One seed, one world.
 */
export class World {
  readonly #library: Library;
  readonly #random: SeededRandom;
  readonly #time = new SimulatedTime();
  readonly #disk: SimulatedDisk;
  readonly #weather: Weather = { faultRate: 0 };
  /** Since the disk has refused something, what is kept may have been rewritten without the journal's knowing. */
  #hasDiskFailed = false;
  readonly #violations: unknown[] = [];
  readonly trace: string[] = [];

  constructor(library: Library, seed: number) {
    this.#library = library;
    this.#random = new SeededRandom(seed);
    this.#disk = new SimulatedDisk(new SeededRandom(seed + 1));
  }

  /** Throws the first thing that was not as promised. */
  async run(): Promise<void> {
    const lives = 1 + this.#random.below(3);
    for (let life = 0; life < lives; life++) await this.#live();
    await this.#endWell();
  }

  async #live(): Promise<void> {
    const random = this.#random;
    this.#weather.faultRate = [0, 0.05, 0.3][random.below(3)] ?? 0;
    this.#disk.faultRate = [0, 0, 0.02, 0.2][random.below(4)] ?? 0;
    this.#hasDiskFailed ||= this.#disk.faultRate > 0;
    this.#note(`a life with ${this.#weather.faultRate} and ${this.#disk.faultRate} of all steps failing`);
    const node = await this.#start();
    if (node === undefined) return;
    const readers = Array.from({ length: 2 + random.below(5) }, (_, i) => this.#reader(node, i));
    const operator = this.#operator(node);
    const all = Promise.all([...readers, operator]);
    if (random.below(3) === 0) {
      await this.#time.run(all, patienceMs, "a reader");
      this.#note("ends in order");
      await this.#time.run(node.close(), patienceMs, "closing");
      assert.equal(node.leftOpen, 0, "C9: files are left open");
      assert.equal(node.clock.pending, 0, "C9: timers are left");
    } else {
      const { promise, resolve } = Promise.withResolvers<void>();
      using _timer = this.#time.after(random.below(4_000), resolve);
      await this.#time.run(Promise.race([promise, all]), patienceMs, "a reader");
      this.#die(node);
    }
    if (this.#violations.length > 0) throw this.#violations[0];
  }

  /** A disk that refuses at a start may refuse the start itself: that is a crash too. */
  async #start(): Promise<Node | undefined> {
    const node = new Node(this.#library, this.#disk, this.#weather, this.#time, this.#random);
    const { faultRate } = this.#disk;
    if (this.#random.below(4) > 0) this.#disk.faultRate = 0;
    try {
      await this.#time.run(node.start(), patienceMs, "a start");
      this.#disk.faultRate = faultRate;
      return node;
    } catch (error) {
      assert.ok(this.#disk.faultRate > 0, Failure.from(error));
      this.#note(`did not start: ${String(error)}`);
      this.#die(node);
      return undefined;
    }
  }

  #die(node: Node): void {
    const power = this.#random.below(2) === 0;
    this.#note(power ? "loses power" : "is killed");
    node.die();
    if (power) this.#disk.crash();
    this.#disk.locked = false;
    if (!this.#hasDiskFailed) checkKept(this.#library, this.#disk, node.directory);
  }

  async #reader(node: Node, number: number): Promise<void> {
    const random = new SeededRandom(this.#random.below(2 ** 31));
    for (let round = 0; round < 3; round++) {
      const model = this.#library.builds[random.below(this.#library.builds.length)];
      assert.ok(model !== undefined);
      try {
        await read(node, model, random, `reader ${number}`);
        this.#note(`reader ${number} has read ${model.build.slice(0, 4)}`);
      } catch (error) {
        if (node.isDead) return;
        this.#note(`reader ${number} failed: ${String(error)}`);
        if (!isWeather(error)) this.#violations.push(error);
      }
    }
  }

  /** Evicts, pins, verifies and clears, whatever the readers do. */
  async #operator(node: Node): Promise<void> {
    const random = new SeededRandom(this.#random.below(2 ** 31));
    const { operator } = node.cache;
    const { signal } = new AbortController();
    for (let round = 0; round < 6; round++) {
      await node.clock.sleep(random.below(500), signal);
      const { build = "" } = this.#library.builds[random.below(this.#library.builds.length)] ?? {};
      const acts = [
        () => operator.evict(build),
        () => operator.pin(build),
        () => operator.unpin(build),
        () => operator.verify(build, signal),
        () => Promise.resolve(node.cache.clearBackoffs()),
      ];
      try {
        await acts[random.below(acts.length)]?.();
      } catch (error) {
        if (!isWeather(error) && !node.isDead) this.#violations.push(error);
      }
    }
    for (const { build } of this.#library.builds) await operator.unpin(build).catch(() => {});
  }

  /** C2, C11, C18, C19: in fine weather everything is there again, without a restart between; then all of it goes. */
  async #endWell(): Promise<void> {
    this.#weather.faultRate = 0;
    this.#disk.faultRate = 0;
    const node = await this.#start();
    assert.ok(node !== undefined);
    const all = async () => {
      for (const model of this.#library.builds) {
        await node.cache.operator.unpin(model.build).catch(() => {});
        await read(node, model, this.#random, "the last reader", true);
      }
    };
    await this.#time.run(all(), patienceMs, "the last reader");
    checkBooks(node, this.#disk);
    const { builds } = this.#library;
    const evict = async () => {
      for (const { build } of builds.toReversed()) await node.cache.evict(build);
    };
    await this.#time.run(evict(), patienceMs, "an eviction");
    checkEmpty(node, this.#disk);
    await this.#time.run(node.close(), patienceMs, "closing");
    assert.equal(node.leftOpen, 0, "C9: files are left open");
    assert.equal(this.#time.pending, 0, "C9: timers are left");
  }

  #note(event: string): void {
    this.trace.push(`${this.#time.now % 1e8} ${event}`);
  }
}

/** What may happen to anybody; all else is a bug. */
function isWeather(error: unknown): boolean {
  return error instanceof Failure && error.code !== "internal" && error.code !== "invalid";
}
