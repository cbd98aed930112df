import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { Gate } from "../base/gate.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import type { BlobName } from "../build/object-source.ts";
import { Breaker } from "./breaker.ts";
import { peerChunks } from "./peer-chunks.ts";
import type { PeerAsking } from "./peer-frames.ts";
import { peerInput } from "./peer-input.ts";
import { type PeerAddress, PeerConnection } from "./peer-connection.ts";
import type { PeerLimits } from "./peer-limits.ts";
import type { PeerWire } from "./peer-wire.ts";
import { decodeStanding, type Standing, standingBytesMax } from "./question.ts";
import { wakingDeadline } from "./waking-deadline.ts";

export interface PeerOptions {
  readonly address: PeerAddress;
  readonly secret: string;
  /** TLS unless said. */
  readonly wire?: PeerWire | undefined;
  /** This node's own name. */
  readonly node: string;
  readonly limits: PeerLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  readonly logger: Logger;
}

interface Known extends Standing {
  readonly learntAt: number;
}

/** One other node, as this one sees it: how to ask it, whether that is worth while, and what it has. */
export class Peer implements Disposable {
  readonly address: string;
  /** Unverified chunks from it. */
  readonly chunks: ChunkSource;
  readonly #options: PeerOptions;
  readonly #connection: PeerConnection;
  readonly #breaker: Breaker;
  readonly #asking: PeerAsking;
  readonly #known = new Map<string, Known>();
  readonly #learning = new Map<string, Promise<void>>();
  readonly #closed = new AbortController();
  #node: string | undefined;

  constructor(options: PeerOptions) {
    const { clock, limits } = options;
    this.#options = options;
    this.#connection = new PeerConnection({ ...options, requestsMax: limits.requestsMax });
    this.address = this.#connection.name;
    this.#breaker = new Breaker({ ...options, ...limits });
    const { requestsMax: capacity, requestsWaitingMax: waitersMax } = limits;
    const gate = new Gate({ capacity, waitersMax, name: `requests to peer ${this.address}` });
    const given = () => AbortSignal.any([this.#breaker.signal, this.#closed.signal]);
    this.#asking = { connection: this.#connection, clock, limits, gate, given };
    this.chunks = peerChunks(this.#asking);
  }

  /** An input from it; its end is reached only when it was verified. */
  input(input: BlobName, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return peerInput(this.#asking, input, this.#options.meter, signal);
  }

  /** Its name, once it was heard. */
  get node(): string | undefined {
    return this.#node;
  }

  /** The list of peers may name this node too. */
  get isSelf(): boolean {
    return this.#node === this.#options.node;
  }

  get state(): "closed" | "open" | "half-open" {
    return this.#breaker.state;
  }

  get isUsable(): boolean {
    return this.state === "closed" && !this.isSelf;
  }

  /** What it last said of a build. */
  standing(build: string): Standing | undefined {
    return this.#known.get(build);
  }

  isFresh(build: string): boolean {
    const { clock, limits } = this.#options;
    return clock.monotonic() - (this.#known.get(build)?.learntAt ?? -Infinity) <= limits.freshMs;
  }

  /** A node was heard of that may be this one, back again. */
  hurry(): void {
    this.#breaker.hurry();
  }

  /** True for the one caller who is to find out, by `learn`, whether the peer is back. */
  tryProbe(): boolean {
    return this.#breaker.tryProbe();
  }

  /**
   * Asks what it has of a build, and tells it so that this node leases it. Whoever does so at the same time shares the
   * answer. Never rejects: a peer that cannot say is not asked for a while.
   */
  learn(build: string): Promise<void> {
    const learning =
      this.#learning.get(build) ?? this.#ask(build).finally(() => this.#learning.delete(build));
    this.#learning.set(build, learning);
    return learning;
  }

  /** The peer itself has asked about a build: so it leases it. */
  heard(build: string): void {
    const known = this.#known.get(build);
    if (known !== undefined) this.#known.set(build, { ...known, leases: true });
  }

  /** It gave a chunk that was verified. */
  proved(): void {
    this.#breaker.proved();
  }

  /** It did not give what it was asked for. Only what is its own fault counts. */
  failed(build: string, error: unknown): void {
    const failure = Failure.from(error);
    if (failure.code === "not_found" || failure.code === "exhausted") {
      const known = this.#known.get(build);
      if (known !== undefined) this.#known.set(build, { ...known, learntAt: -Infinity });
      this.#count("no");
      return;
    }
    this.#count(failure.code === "corrupt" ? "corrupt" : "failed");
    if (!this.#breaker.failed(failure.code === "corrupt" ? "lie" : "fault")) return;
    const { logger, meter } = this.#options;
    const why = failure.code;
    meter.count("larder_peer_breaks_total", { why });
    logger.warn({ peer: this.address, why, reason: failure.message }, "a peer is not asked for a while");
  }

  [Symbol.dispose](): void {
    this.#closed.abort(new Failure("cancelled", "this node is leaving its peers"));
    this.#connection[Symbol.dispose]();
  }

  async #ask(build: string): Promise<void> {
    const { clock, limits } = this.#options;
    using late = wakingDeadline(clock, limits.silenceMsMax, `peer ${this.address}`, this.#closed.signal);
    try {
      const answer = await this.#connection.get({ kind: "build", build }, late.signal);
      const standing = decodeStanding(await wholeOf(answer));
      if (standing.node !== this.#node) this.#known.clear(); // it is another one, or was started anew
      this.#node = standing.node;
      this.#remember(build, { ...standing, learntAt: clock.monotonic() });
      this.#breaker.passed();
      this.#count("told");
    } catch (error) {
      if (!this.#closed.signal.aborted) this.failed(build, late.signal.aborted ? late.signal.reason : error);
    }
  }

  #remember(build: string, known: Known): void {
    this.#known.delete(build); // so that the one which was not asked about for longest comes first
    this.#known.set(build, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > this.#options.limits.buildsMax) this.#known.delete(oldest ?? "");
  }

  #count(outcome: string): void {
    this.#options.meter.count("larder_peer_questions_total", { outcome });
  }
}

async function wholeOf(answer: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of answer) {
    bytes += piece.length;
    if (bytes > standingBytesMax) throw new Failure("corrupt", "a peer's answer about a build has no end");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
