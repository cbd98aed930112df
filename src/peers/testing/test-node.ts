import { randomId } from "../../base/random-id.ts";
import { silentLogger } from "../../base/logger.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import { SeededRandom } from "../../base/testing/seeded-random.ts";
import { VirtualClock } from "../../base/testing/virtual-clock.ts";
import type { ChunkRequest } from "../../build/chunk-source.ts";
import { IndexBook } from "../../build/index-book.ts";
import type { PeerAddress } from "../peer-connection.ts";
import { Peers } from "../peers.ts";
import { rankOf } from "../rendezvous.ts";
import { numberedIndex, testBuild, testSecret } from "./numbered-image.ts";
import { TestShelf } from "./test-shelf.ts";

export const never = new AbortController().signal;

/** This node, with a clock that the test moves, among the peers that the test brings. */
export class TestNode implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly meter = new MemoryMeter();
  readonly peers: Peers;
  readonly shelf: TestShelf;

  constructor(addresses: readonly PeerAddress[], chunkCount: number, seed = 1, secret = testSecret) {
    const indexes = new IndexBook();
    indexes.set(numberedIndex(chunkCount));
    this.shelf = new TestShelf(chunkCount);
    const { clock, meter } = this;
    const tools = { clock, meter, random: new SeededRandom(seed), logger: silentLogger };
    this.peers = new Peers({ addresses, secret, indexes, ...tools });
  }

  /** The name that a node made from this seed has: known before the peers that must stand above or below it. */
  static nameOf(seed = 1): string {
    return randomId(new SeededRandom(seed), 16);
  }

  /** A seed whose node stands above or below `node` in the first group of the test build's disk. */
  static seedThatStands(where: "above" | "below", node: string): number {
    for (let seed = 2; ; seed++) {
      const [own, other] = [node, TestNode.nameOf(seed)].map((each) => rankOf(each, testBuild, "rootfs", 0));
      if ((other ?? "") > (own ?? "") === (where === "above")) return seed;
    }
  }

  async serve(): Promise<PeerAddress> {
    const host = "127.0.0.1";
    return { host, port: await this.peers.serve(this.shelf, { host, port: 0 }) };
  }

  /** Reads chunks of the test build; resolves to their numbers, or rejects after some. */
  async read(firstChunk: number, count: number, got: number[] = [], signal = never): Promise<number[]> {
    const request: ChunkRequest = { build: testBuild, artifact: "rootfs", firstChunk, count };
    for await (const { index } of this.peers.source.read(request, signal)) got.push(index);
    return got;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peers[Symbol.asyncDispose]();
  }
}
