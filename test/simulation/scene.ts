import { BucketContents } from "./bucket-contents.ts";
import type { Library, ModelBuild } from "./library.ts";
import type { SimulatedTime } from "./simulated-clock.ts";
import type { SimulatedNetwork } from "./simulated-network.ts";
import type { Watch } from "./watch.ts";
import type { WorldShape } from "./world-shape.ts";

/** How far a build is that a node has made: if it breaks off before it is kept, nobody relies on it. */
export interface Making {
  readonly node: string;
  state: "begun" | "kept" | "failed";
}

/** What all nodes of a world share. */
export class Scene {
  readonly seed: number;
  readonly shape: WorldShape;
  readonly library: Library;
  readonly time: SimulatedTime;
  readonly network: SimulatedNetwork;
  readonly watch: Watch;
  readonly weather = { faultRate: 0 };
  readonly trace: string[] = [];
  readonly makings = new Map<string, Making>();
  readonly contents: BucketContents;

  constructor(
    { seed, shape, library }: { seed: number; shape: WorldShape; library: Library },
    { time, network, watch }: { time: SimulatedTime; network: SimulatedNetwork; watch: Watch },
  ) {
    this.seed = seed;
    this.shape = shape;
    this.library = library;
    this.time = time;
    this.network = network;
    this.watch = watch;
    this.contents = new BucketContents(library, watch);
  }

  /** Builds that somebody may ask for: published ones, and those that a node has made. */
  get known(): ModelBuild[] {
    const made = this.library.children.filter(
      ({ build }) => this.contents.has(build) || this.makings.get(build)?.state === "kept",
    );
    return [...this.library.builds, ...made];
  }

  note(event: string): void {
    this.trace.push(`${this.time.now % 1e8} ${event}`);
  }
}
