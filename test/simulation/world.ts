import assert from "node:assert/strict";
import { peerLimits } from "../../src/peers/peer-limits.ts";
import { checkBooks, checkEmpty } from "./checks.ts";
import type { Library } from "./library.ts";
import type { Node } from "./node.ts";
import { NodeLives } from "./node-lives.ts";
import { read } from "./reader.ts";
import { Scene } from "./scene.ts";
import { SimulatedTime } from "./simulated-clock.ts";
import { SimulatedNetwork } from "./simulated-network.ts";
import { Watch } from "./watch.ts";
import { randomOf, type WorldShape } from "./world-shape.ts";

/** Nothing in a world may take longer than this, in virtual milliseconds. */
const patienceMs = 3_600_000;
/** What a read in fine weather may take, with a peer that is gone without a word. */
const fineMsMax = 30_000;
/** And what a publication may, which waits for up to a minute after it has failed; a child waits for its parent's. */
const publishingMsMax = 240_000;

/**
 * One world: some nodes with the production cache, sources and peers, over disks that lose what was not synced, a
 * bucket that lies, and a network between them that does not get through. They live some lives, each of which ends in
 * order, by a kill or by a loss of power; readers come and go, and compare every byte with the model; builds are made
 * and published. At the end the weather is fine, and everything must be there again. One seed, one world.
 */
export class World {
  readonly #scene: Scene;
  readonly #nodes: NodeLives[];
  readonly #time = new SimulatedTime();

  constructor(library: Library, seed: number, shape: WorldShape) {
    const network = new SimulatedNetwork(this.#time, randomOf(seed, "network"));
    const shared = { time: this.#time, network, watch: new Watch() };
    this.#scene = new Scene({ seed, shape, library }, shared);
    this.#nodes = Array.from({ length: shape.nodes }, (_, i) => new NodeLives(this.#scene, i));
  }

  get trace(): readonly string[] {
    return this.#scene.trace;
  }

  /** Throws the first thing that was not as promised. */
  async run(): Promise<void> {
    const over = new AbortController();
    const weather = this.#weather(over.signal);
    try {
      await this.#within(Promise.all(this.#nodes.map((node) => node.lives())), "a life");
    } finally {
      over.abort();
      weather[Symbol.dispose]();
    }
    this.#throwViolation();
    await this.#endWell();
    this.#throwViolation();
  }

  /** Lets go of what waits for ever. */
  end(): void {
    this.#scene.network.end();
    for (const { disk } of this.#nodes) disk.end();
  }

  /** Changes for all, now and then. */
  #weather(over: AbortSignal): Disposable {
    const { seed, shape, weather, network } = this.#scene;
    const random = randomOf(seed, "weather");
    let timer: Disposable | undefined;
    const change = () => {
      if (over.aborted) return;
      weather.faultRate = shape.bucket ? ([0, 0.05, 0.3, 0.9][random.below(4)] ?? 0) : 0;
      network.weather.faultRate = shape.network ? ([0, 0.01, 0.1][random.below(3)] ?? 0) : 0;
      network.heal();
      if (shape.network && shape.nodes > 1 && random.below(3) === 0) {
        const one = random.below(shape.nodes);
        network.part(`node ${one}`, `node ${(one + 1) % shape.nodes}`);
        this.#scene.note(`node ${one} does not reach the next one`);
      }
      timer = this.#time.after(500 + random.below(5_000), change);
    };
    change();
    return { [Symbol.dispose]: () => timer?.[Symbol.dispose]() };
  }

  /** C2, C11, C18, C19, C24: in fine weather everything is there again, without a restart between; then all goes. */
  async #endWell(): Promise<void> {
    const { network, weather, shape, seed } = this.#scene;
    weather.faultRate = 0;
    network.weather.faultRate = 0;
    network.heal();
    const all = await this.#within(Promise.all(this.#nodes.map((node) => node.lastLife())), "a start");
    const random = randomOf(seed, "the end");
    await this.#within(this.#published(all), "publishing");
    // One of them is gone without a word: nobody is told that its connections are.
    const gone = shape.nodes > 1 && random.below(3) === 0 ? all.pop() : undefined;
    gone?.die(true);
    // That it was missing may be remembered for 5 s where it was asked for (C2).
    await this.#pause(6_000);
    for (const node of all) await this.#readAll(node, random);
    await this.#evictAll(all);
    if (gone === undefined) await this.#readTogether(all);
    else for (const node of all) await this.#readWithout(node);
    await this.#evictAll(all);
    for (const [i, node] of all.entries()) checkEmpty(node, this.#nodes[i]?.disk ?? assert.fail());
    for (const node of all) {
      await this.#within(node.close(), "closing");
      assert.equal(node.leftOpen, 0, "C9: files are left open");
      assert.equal(node.clock.pending, 0, "C9: timers are left");
    }
  }

  /** C26, C27: what was made anywhere, and did not fail, is in the bucket in the end. */
  async #published(nodes: readonly Node[]): Promise<void> {
    const begun = this.#time.now;
    while (nodes.some(({ publisher }) => publisher.waiting > 0)) {
      assert.ok(this.#time.now - begun < publishingMsMax, "C27: a build is not published in fine weather");
      await new Promise<void>((resolve) => this.#time.after(1_000, resolve));
    }
    for (const [build, { state }] of this.#scene.makings)
      assert.ok(state !== "kept" || this.#scene.contents.has(build), `C27: ${build} is never published`);
  }

  async #readAll(node: Node, random: ReturnType<typeof randomOf>): Promise<void> {
    // What an operator wanted to stay when the process died stays: and takes the room of what must be whole.
    for (const { build } of this.#scene.known)
      await this.#within(
        node.cache.operator.unpin(build).catch(() => {}),
        "unpinning",
      );
    for (const model of this.#scene.known) {
      const begun = this.#time.now;
      await this.#within(read(node, model, random, "the last reader", true), "the last reader");
      const ms = this.#time.now - begun;
      assert.ok(ms <= fineMsMax, `C24: a read in fine weather took ${ms} ms`);
    }
    const { disk } = this.#nodes[Number(node.name.split(" ")[1])] ?? assert.fail();
    checkBooks(node, disk);
  }

  /** C24: a peer that is gone without a word costs its time once, and not for each build that is started. */
  async #readWithout(node: Node): Promise<void> {
    const random = randomOf(this.#scene.seed, "without a peer");
    let late = 0;
    for (const model of this.#scene.known) {
      const begun = this.#time.now;
      await this.#within(read(node, model, random, "without a peer", true), "reading without a peer");
      if (this.#time.now - begun >= peerLimits.silenceMsMax) late += 1;
    }
    assert.ok(late <= 1, `C24: a peer that is gone has made ${late} readers wait for its silence`);
  }

  /** C25: all start one build together, and read each chunk of it from the bucket once. */
  async #readTogether(nodes: readonly Node[]): Promise<void> {
    const { watch, known, seed } = this.#scene;
    // What each knows of the others is of former times by then.
    await this.#pause(15_000);
    watch.reads.clear();
    const model = known[0] ?? assert.fail();
    const reads = nodes.map((node, i) =>
      read(node, model, randomOf(seed, `together ${i}`), "together", true),
    );
    await this.#within(Promise.all(reads), "reading together");
    const stored = [...watch.reads.values()].length;
    const times = [...watch.reads.values()].reduce((sum, count) => sum + count, 0);
    assert.ok(times <= 1.1 * stored, `C25: ${stored} chunks were read ${times} times from the bucket`);
  }

  /** Also what could not be made, and came back when the power had been lost: a node's next sweep removes that. */
  async #evictAll(nodes: readonly Node[]): Promise<void> {
    const { builds, children } = this.#scene.library;
    for (const node of nodes)
      for (const { build } of [...builds, ...children].toReversed())
        await this.#within(node.cache.evict(build), "an eviction");
  }

  async #pause(ms: number): Promise<void> {
    await this.#within(new Promise<void>((resolve) => this.#time.after(ms, resolve)), "a pause");
  }

  async #within<T>(work: Promise<T>, what: string): Promise<T> {
    return await this.#time.run(work, patienceMs, what);
  }

  #throwViolation(): void {
    const { watch } = this.#scene;
    watch.settle();
    const { violations } = watch;
    if (violations.length > 0) throw violations[0];
  }
}
