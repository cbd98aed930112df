import { silentLogger } from "../../src/base/logger.ts";
import { silentMeter } from "../../src/base/meter.ts";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { impatientObjects } from "../../src/build/impatient.ts";
import { IndexBook } from "../../src/build/index-book.ts";
import { SharedView } from "../../src/cache/shared-view.ts";
import { TemplateCache } from "../../src/cache/template-cache.ts";
import { chunksOver, stallMsMax } from "../../src/daemon/chunks-from.ts";
import { Peers } from "../../src/peers/peers.ts";
import type { Publisher } from "../../src/sandbox/publisher.ts";
import { shelfBytes } from "./library.ts";
import { lyingView } from "./lying-view.ts";
import { SimulatedBucket } from "./simulated-bucket.ts";
import { ProcessClock } from "./simulated-clock.ts";
import { ProcessDisk, type SimulatedDisk } from "./simulated-disk.ts";
import type { Host, SimulatedNetwork } from "./simulated-network.ts";
import { type Outside, SimulatedSources } from "./simulated-sources.ts";
import { watchedView } from "./watched-view.ts";
import { RequestWatch, type Watch, type Watched } from "./watch.ts";

/** Who holds leases for other nodes: they are no use of a build. */
const peersHolder = "a peer";

export interface NodeOptions {
  readonly name: string;
  /** Where it listens; the others' places are those before and behind it. */
  readonly port: number;
  readonly ports: readonly number[];
  /** What it gives to others is not what it has. */
  readonly lies: boolean;
  readonly outside: Outside;
  readonly network: SimulatedNetwork;
  readonly disk: SimulatedDisk;
  readonly isDiskGood: () => boolean;
  readonly watch: Watch;
}

/** One process on a node: the production cache, sources and peers over what is simulated. */
export class Node implements Host, Watched {
  readonly name: string;
  readonly directory = "/shelf";
  readonly clock: ProcessClock;
  readonly disk: ProcessDisk;
  readonly meter = silentMeter;
  readonly requests: RequestWatch;
  readonly bucket: SimulatedBucket;
  readonly #options: NodeOptions;
  readonly #random: SeededRandom;
  /** What lay on the shelf at the start: power that was lost may have brought back what had been removed. */
  foundBytes = 0;
  #cache: TemplateCache | undefined;
  #publisher: Publisher | undefined;
  #peers: Peers | undefined;

  constructor(options: NodeOptions, random: SeededRandom) {
    const { name, disk, network, watch } = options;
    this.name = name;
    this.clock = new ProcessClock(network.time);
    this.disk = new ProcessDisk(disk, this.clock);
    this.#options = options;
    this.#random = new SeededRandom(random.below(2 ** 31));
    this.requests = new RequestWatch(watch, this);
    const { contents, weather } = options.outside;
    const bucketRandom = new SeededRandom(random.below(2 ** 31));
    this.bucket = new SimulatedBucket({
      contents,
      weather,
      clock: this.clock,
      disk: this.disk,
      random: bucketRandom,
    });
  }

  get cache(): TemplateCache {
    if (this.#cache === undefined) throw new Error("the node has not started");
    return this.#cache;
  }

  get hasStarted(): boolean {
    return this.#cache !== undefined;
  }

  get publisher(): Publisher {
    if (this.#publisher === undefined) throw new Error("the node has not started");
    return this.#publisher;
  }

  get isDead(): boolean {
    return this.disk.isDead;
  }

  get leftOpen(): number {
    return this.disk.openFiles;
  }

  /** Its disk refuses nothing, and has lost nothing that the journal does not know of. */
  get isDiskGood(): boolean {
    return this.#options.isDiskGood();
  }

  hasFile(name: string): boolean {
    return this.#options.disk.names.has(name);
  }

  /** When the cache says that a build was used last; undefined when it is not on the shelf. */
  usedAt(build: string): number | undefined {
    const found = this.cache.inspect().builds.find((each) => each.build === build);
    return found && Date.parse(found.usedAt);
  }

  /** Somebody on this node leases the build; or has it, while this process lies dead. */
  isUsed(build: string): boolean {
    return this.isDead || this.cache.holdersOf(build).some((holder) => holder !== peersHolder);
  }

  /** `recall` takes leases for what is not published, before anything may be evicted. */
  async start(recall: () => Promise<Publisher>): Promise<void> {
    const { clock, disk, directory, meter } = this;
    const random = this.#random;
    const { lies, network, outside, port, ports } = this.#options;
    const indexes = new IndexBook();
    const sources = new SimulatedSources(outside, clock, random);
    const tools = { clock, random, meter, logger: silentLogger };
    const addresses = ports.map((each) => ({ host: "node", port: each }));
    const wire = network.wireOf(this);
    const peers = new Peers({ addresses, secret: "", wire, indexes, ...tools });
    this.#peers = ports.length > 1 ? peers : undefined;
    const bucket = sources.chunks(this.requests);
    const chunks = this.requests.flights(chunksOver(bucket, { indexes, peers: this.#peers, ...tools }));
    const objects = impatientObjects(sources.objects(this.requests), { clock, stallMsMax });
    const shelf = { directory, disk, bytesMax: shelfBytes };
    this.#cache = await TemplateCache.open({ ...shelf, chunks, objects, indexes, ...tools });
    this.foundBytes = this.#cache.bytes.kept;
    const view = watchedView(new SharedView(this.#cache), this.requests);
    await this.#peers?.serve(lies ? lyingView(view) : view, { host: "node", port });
    this.#publisher = await recall();
    await this.#cache.settle();
  }

  async close(): Promise<void> {
    await this.publisher.close();
    await this.#peers?.[Symbol.asyncDispose]();
    await this.cache.close();
  }

  /** Nothing that this process does has an effect any more. */
  die(power: boolean): void {
    this.disk.isDead = true;
    this.clock.die();
    this.#options.network.died(this, power);
  }
}
