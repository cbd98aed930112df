import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random-id.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import type { IndexBook } from "../build/index-book.ts";
import type { ObjectSource } from "../build/object-source.ts";
import { Neighbourhood } from "./neighbourhood.ts";
import type { Offering } from "./offering.ts";
import { OriginReads } from "./origin-reads.ts";
import { Peer } from "./peer.ts";
import type { PeerAddress } from "./peer-connection.ts";
import { peerLimits, type PeerLimits } from "./peer-limits.ts";
import { PeerServer } from "./peer-server.ts";
import { peerInputs } from "./peer-inputs.ts";
import { peerSource } from "./peer-source.ts";
import type { PeerWire } from "./peer-wire.ts";

export interface PeersOptions {
  /** Where the other nodes listen. This node's own address may be among them. */
  readonly addresses: readonly PeerAddress[];
  readonly secret: string;
  /** TLS unless said. */
  readonly wire?: PeerWire | undefined;
  readonly indexes: IndexBook;
  readonly limits?: PeerLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  readonly logger: Logger;
}

/** This node among the others: reads from them, and serves them. */
export class Peers implements AsyncDisposable {
  /** This node's name for as long as it runs. */
  readonly node: string;
  /** Chunks from the other nodes. */
  readonly source: ChunkSource;
  readonly #options: PeersOptions;
  readonly #limits: PeerLimits;
  readonly #neighbourhood: Neighbourhood;
  readonly #origins = new OriginReads();
  #server: PeerServer | undefined;

  constructor(options: PeersOptions) {
    const { addresses, limits = peerLimits, random } = options;
    this.#options = options;
    this.#limits = limits;
    this.node = randomId(random, 16);
    const peers = addresses.map((address) => new Peer({ ...options, address, limits, node: this.node }));
    this.#neighbourhood = new Neighbourhood({ ...options, ...limits, peers, node: this.node });
    this.source = peerSource({ ...options, ...limits, neighbourhood: this.#neighbourhood });
  }

  /** The bucket, for what no peer has; others learn from it what is being read there. */
  origin(bucket: ChunkSource): ChunkSource {
    return this.#origins.noted(bucket);
  }

  /** Whole objects of the bucket, but inputs of builds from a peer that has them. */
  objects(bucket: ObjectSource): ObjectSource {
    const origin = this.#origins.notedObjects(bucket);
    return peerInputs({ ...this.#limits, neighbourhood: this.#neighbourhood, origin });
  }

  /** Answers the other nodes from now on; resolves to the port. */
  async serve(offering: Offering, { host, port }: PeerAddress): Promise<number> {
    this.#server = await PeerServer.listen({
      ...this.#options,
      ...{ host, port, offering, limits: this.#limits, node: this.node, origins: this.#origins },
      onHeard: (node, build) => this.#neighbourhood.heard(node, build),
    });
    return this.#server.port;
  }

  /** For operators: each of the others and whether it is asked. */
  inspect(): { readonly address: string; readonly node: string | undefined; readonly state: string }[] {
    return this.#neighbourhood.peers.map(({ address, node, isSelf, state }) => ({
      address,
      node,
      state: isSelf ? "self" : state,
    }));
  }

  /** Sets the gauges; called when somebody wants to see them. */
  measure(): void {
    const counts: Record<string, number> = { closed: 0, open: 0, "half-open": 0 };
    for (const { state } of this.inspect()) if (state !== "self") counts[state] = (counts[state] ?? 0) + 1;
    for (const [state, count] of Object.entries(counts))
      this.#options.meter.gauge("larder_peers", count, { state });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
    for (const peer of this.#neighbourhood.peers) peer[Symbol.dispose]();
  }
}
