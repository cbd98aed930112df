import { abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { choosePeer, type Group, type WholeInput } from "./choose-peer.ts";
import type { Peer } from "./peer.ts";

export interface NeighbourhoodOptions {
  readonly peers: readonly Peer[];
  /** This node's own name. */
  readonly node: string;
  readonly clock: Clock;
  /** Strangers make this node look around no more often than this. */
  readonly freshMs: number;
}

/** Who has not read of a build for so long starts it anew: others may do so at the same time. */
const quietMs = 10_000;
/** Builds of which is remembered when they were read. */
const buildsMax = 256;
/** Names of strangers that are remembered. */
const strangersMax = 256;
/** How often one of them makes this node look around: it may not even be on the list. */
const looksMax = 3;

/** The other nodes, and what this one knows of them. */
export class Neighbourhood {
  readonly peers: readonly Peer[];
  readonly #options: NeighbourhoodOptions;
  /** When this node has last read of a build. */
  readonly #readAt = new Map<string, number>();
  /** How often each has made this node look around. */
  readonly #strangers = new Map<string, number>();
  #heardStranger = false;
  #lookedAroundAt = -Infinity;
  #lookingAround: Promise<void> | undefined;

  constructor(options: NeighbourhoodOptions) {
    this.#options = options;
    this.peers = options.peers;
  }

  /**
   * Before the first chunk of a build is read, every peer that can be reached has said what it has of it and knows
   * that this node leases it (C25); also when this node has not read of it for a while: what is known is of a former
   * start then. Later on that is asked for anew now and then, and nobody waits for it; nor for a peer that has failed
   * before and may be back.
   */
  async meet(build: string, signal: AbortSignal): Promise<void> {
    const isStart = this.#isStart(build);
    const first: Promise<void>[] = [];
    for (const peer of this.peers) {
      if (peer.isSelf) continue;
      if (!peer.isUsable) {
        if (peer.tryProbe()) void peer.learn(build);
      } else if (peer.standing(build) === undefined || (isStart && !peer.isFresh(build)))
        first.push(peer.learn(build));
      else if (!peer.isFresh(build)) void peer.learn(build);
    }
    const looking = this.#lookAround(build);
    if (looking !== undefined) first.push(looking);
    if (first.length > 0) await abortable(Promise.all(first), signal);
    this.#noteRead(build);
  }

  /** Whom to ask for a group or an input, of those that were not tried yet. */
  choose(wanted: Group | WholeInput, tried: ReadonlySet<Peer>): Peer | undefined {
    const candidates = this.peers.flatMap((peer) => {
      const standing = peer.isUsable && !tried.has(peer) ? peer.standing(wanted.build) : undefined;
      return standing === undefined ? [] : [{ peer, standing }];
    });
    return choosePeer(candidates, this.#options.node, wanted)?.peer;
  }

  /** The node of this name has asked about a build. */
  heard(node: string, build: string): void {
    const known = this.peers.filter((peer) => peer.node === node);
    for (const peer of known) peer.heard(build);
    const looks = this.#strangers.get(node) ?? 0;
    if (known.length > 0 || looks === looksMax) return;
    if (this.#strangers.size === strangersMax) this.#strangers.clear();
    this.#strangers.set(node, looks + 1);
    this.#heardStranger = true;
  }

  #isStart(build: string): boolean {
    return this.#options.clock.monotonic() - (this.#readAt.get(build) ?? -Infinity) > quietMs;
  }

  /** Whoever comes before this is noted waits for the same answers. */
  #noteRead(build: string): void {
    this.#readAt.delete(build); // so that the one which was not read for longest comes first
    this.#readAt.set(build, this.#options.clock.monotonic());
    const [oldest] = this.#readAt.keys();
    if (this.#readAt.size > buildsMax) this.#readAt.delete(oldest ?? "");
  }

  /**
   * A node that nobody knows has asked: one of the peers has come up, or was started anew. Reads wait until it is
   * known which one, so that its share is left to it.
   */
  #lookAround(build: string): Promise<void> | undefined {
    const { clock, freshMs } = this.#options;
    const isTime = clock.monotonic() - this.#lookedAroundAt >= freshMs;
    if (this.#heardStranger && isTime) {
      this.#heardStranger = false;
      this.#lookedAroundAt = clock.monotonic();
      for (const peer of this.peers) peer.hurry();
      const mayAnswer = (peer: Peer) => peer.isUsable || peer.tryProbe() || peer.state === "half-open";
      const asked = this.peers.filter((peer) => !peer.isSelf && mayAnswer(peer));
      this.#lookingAround = Promise.all(asked.map((peer) => peer.learn(build))).then(() => {
        this.#lookingAround = undefined;
      });
    }
    return this.#lookingAround;
  }
}
