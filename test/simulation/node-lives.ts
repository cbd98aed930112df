import assert from "node:assert/strict";
import { Failure } from "../../src/base/failure.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { Publisher } from "../../src/sandbox/publisher.ts";
import { checkKept } from "./checks.ts";
import { isWeather, make, operate } from "./inhabitants.ts";
import { Node } from "./node.ts";
import { openPublisher } from "./publishing.ts";
import { checkRecency, type Recency, recencyOf } from "./recency.ts";
import { read, readPast } from "./reader.ts";
import { checkRestart } from "./check-restart.ts";
import type { Scene } from "./scene.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { randomOf } from "./world-shape.ts";

/** One place on the network: a disk, and the processes that live over it, one after the other. */
export class NodeLives {
  readonly disk: SimulatedDisk;
  readonly #scene: Scene;
  readonly #number: number;
  /**
   * Since the disk has refused something, or lost a byte, what is kept may have been rewritten without the journal's
   * knowing.
   */
  #hasDiskFailed = false;
  /** The journal says that all ended in order: what is kept is believed by the next start. */
  #isBelieved = true;
  /** What the last process knew of its builds. */
  #recency: Recency | undefined;
  /** The bucket does well by this node, whatever it does to others. */
  #isFine = false;

  constructor(scene: Scene, number: number) {
    this.#scene = scene;
    this.#number = number;
    this.disk = new SimulatedDisk(randomOf(scene.seed, `disk ${number}`));
  }

  async lives(): Promise<void> {
    for (let life = 0; life < this.#scene.shape.lives; life++) await this.#live(life);
  }

  /** A process in the best of worlds. */
  async lastLife(): Promise<Node> {
    this.disk.faultRate = 0;
    const node = this.#node(randomOf(this.#scene.seed, `last ${this.#number}`), false);
    await node.start(() => this.#recall(node, randomOf(this.#scene.seed, `recall ${this.#number}`)));
    return node;
  }

  async #live(life: number): Promise<void> {
    const scene = this.#scene;
    const { shape } = scene;
    const random = randomOf(scene.seed, `life ${this.#number} ${life}`);
    const refusing = [0, 0, 0.02, 0.2][random.below(4)] ?? 0;
    this.disk.faultRate = shape.disk ? refusing : 0;
    this.#hasDiskFailed ||= this.disk.faultRate > 0;
    const node = this.#node(random, shape.liars && random.below(4) === 0);
    this.#note(`lives, with ${this.disk.faultRate} of all steps of its disk refused`);
    const over = { is: false };
    const death = this.#deathOf(node, random, over);
    const isDown = await Promise.race([this.#work(node, random), death]);
    over.is = true;
    if (isDown) return;
    assert.equal(node.leftOpen, 0, "C9: files are left open");
    assert.equal(node.clock.pending, 0, "C9: timers are left");
  }

  /** Resolves to true when the process is no more. */
  #deathOf(node: Node, random: SeededRandom, over: { is: boolean }): Promise<boolean> {
    const { shape, time } = this.#scene;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const power = random.below(2) === 0;
    const how = shape.kills ? random.below(3) : 0;
    const [step, ms] = [1 + random.below(500), random.below(6_000)];
    const die = () => {
      if (node.isDead || over.is) return;
      this.#note(power ? "loses power" : "is killed");
      this.#die(node, power);
      resolve(true);
    };
    let steps = 0;
    node.disk.onStep = () => {
      steps += 1;
      if (how === 1 && steps === step) die();
    };
    if (how === 2) time.after(ms, die);
    return promise;
  }

  /** All that is done in a life; false when it has ended in order, true when it could not even begin. */
  async #work(node: Node, random: SeededRandom): Promise<boolean> {
    const scene = this.#scene;
    const { faultRate } = this.disk;
    if (random.below(4) > 0) this.disk.faultRate = 0;
    try {
      await node.start(() => this.#recall(node, random));
    } catch (error) {
      assert.ok(this.disk.faultRate > 0, Failure.from(error));
      this.#note(`did not start: ${String(error)}`);
      this.#die(node, random.below(2) === 0);
      return true;
    }
    this.#isBelieved = false;
    if (!this.#hasDiskFailed && random.below(3) === 0) await checkRestart(scene, node, this.disk);
    this.disk.faultRate = faultRate;
    const readers = Array.from({ length: scene.shape.readers }, (_, i) => this.#reader(node, i, random));
    const others = [];
    if (scene.shape.operator) others.push(operate(scene, node, random));
    if (scene.shape.makers) others.push(make(scene, node, this.disk, random));
    await Promise.all([...readers, ...others]);
    if (random.below(2) === 0) await this.#fineSpell(node, random);
    this.#note("ends in order");
    this.#isBelieved = true;
    await node.close();
    this.#recency = recencyOf(node); // whoever was just then being given a lease has used it, too
    return false;
  }

  /** C2: whatever has failed before, what the bucket has can be had as soon as the weather is fine. */
  async #fineSpell(node: Node, random: SeededRandom): Promise<void> {
    const { library, watch } = this.#scene;
    this.#isFine = true;
    // What was said to be missing may be told for 5 s; a request that stalls since before is given up after 10 s.
    await node.clock.pause(11_000);
    const models = library.builds.filter(() => random.below(2) === 0);
    for (const model of models) {
      try {
        await readPast(node, model, random);
      } catch (error) {
        if (!node.isDead) watch.violate(`C18: past a disk that refuses ${String(error)}`);
      }
    }
    this.disk.faultRate = 0;
    for (const model of models) {
      try {
        await read(node, model, random, "a reader in fine weather", true);
        this.#note(`has all of ${model.build.slice(0, 4)} in fine weather`);
      } catch (error) {
        if (node.isDead) return;
        // What is made here and not published may leave no room for a whole memfile.
        if (!Failure.is(error, "exhausted")) watch.violate(`C2: in fine weather ${String(error)}`);
      }
    }
  }

  /** C20: a sandbox that lives on may read, and need room, before the publisher has taken its leases again. */
  async #recall(node: Node, random: SeededRandom): Promise<Publisher> {
    const { library, watch } = this.#scene;
    if (this.#recency !== undefined && !this.#hasDiskFailed) checkRecency(watch, node, this.#recency);
    this.#recency = undefined;
    const model = library.builds[random.below(2 * library.builds.length)];
    const reading = model && read(node, model, random, "a sandbox that lives on");
    await reading?.catch((error: unknown) => {
      if (!node.isDead && !isWeather(error)) watch.violations.push(error);
    });
    return await openPublisher(this.#scene, node, !this.#hasDiskFailed);
  }

  #node(random: SeededRandom, lies: boolean): Node {
    const { network, watch, shape, library } = this.#scene;
    this.#isFine = false;
    this.#isBelieved = true;
    const [rate, isFine] = [() => this.#scene.weather.faultRate, () => this.#isFine];
    const weather = {
      get faultRate() {
        return isFine() ? 0 : rate();
      },
    };
    const ports = Array.from({ length: shape.nodes }, (_, i) => 1000 + i);
    const outside = { library, weather, contents: this.#scene.contents };
    const place = { name: `node ${this.#number}`, port: 1000 + this.#number, ports, lies };
    const isDiskGood = () => this.disk.faultRate === 0 && !this.#hasDiskFailed;
    return new Node({ ...place, outside, network, watch, disk: this.disk, isDiskGood }, random);
  }

  #die(node: Node, power: boolean): void {
    if (node.hasStarted) this.#recency = recencyOf(node);
    node.die(power);
    if (power) this.disk.crash();
    this.disk.locked = false;
    try {
      if (!this.#hasDiskFailed) checkKept(this.#scene.library, this.disk, node.directory);
    } catch (error) {
      this.#scene.watch.violations.push(error);
    }
    // After an orderly end what is kept is believed; what is in the bucket can be had again, and all else stays whole.
    if (!this.#scene.shape.disk || this.#isBelieved || this.disk.random.below(6) > 0) return;
    const rotten = this.disk.rot(this.#scene.library.builds.map(({ build }) => build));
    if (rotten === undefined) return;
    this.#note(`finds ${rotten} changed`);
    this.#hasDiskFailed = true;
  }

  async #reader(node: Node, number: number, from: SeededRandom): Promise<void> {
    const scene = this.#scene;
    const random = randomOf(from.below(2 ** 31), `reader ${number}`);
    for (let round = 0; round < 3; round++) {
      const { known } = scene;
      const model = known[random.below(known.length)];
      assert.ok(model !== undefined);
      try {
        await read(node, model, random, `reader ${number}`);
        this.#note(`reader ${number} has read ${model.build.slice(0, 4)}`);
      } catch (error) {
        if (node.isDead) return;
        this.#note(`reader ${number} failed: ${String(error)}`);
        if (!isWeather(error)) scene.watch.violations.push(error);
      }
      await node.clock.pause(random.below(1_000));
    }
  }

  #note(event: string): void {
    this.#scene.note(`node ${this.#number} ${event}`);
  }
}
