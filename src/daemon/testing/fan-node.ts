import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { type Clock, systemClock } from "../../base/clock.ts";
import { silentLogger as logger } from "../../base/logger.ts";
import { type Random, systemRandom } from "../../base/random.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import type { Bucket } from "../../bucket/bucket.ts";
import type { ImageArtifact } from "../../build/artifact.ts";
import { bucketObjects } from "../../build/bucket-objects.ts";
import { IndexBook } from "../../build/index-book.ts";
import { SharedView } from "../../cache/shared-view.ts";
import { TemplateCache } from "../../cache/template-cache.ts";
import type { PeerAddress } from "../../peers/peer-connection.ts";
import { Peers } from "../../peers/peers.ts";
import { chunksFrom } from "../chunks-from.ts";

export const fanSecret = "a secret of thirty-two characters, for tests";

export interface FanNodeOptions {
  readonly bucket: Bucket;
  readonly directory: string;
  /** Where the others listen; this node too, if it is among them. */
  readonly addresses: readonly PeerAddress[];
  readonly own: PeerAddress;
  /** Its name is made of this; random unless said. */
  readonly random?: Random;
  /** The system's unless said. */
  readonly clock?: Clock;
}

/** What a daemon is made of as far as chunks go: cache, peers and bucket, put together as it puts them. */
export class FanNode implements AsyncDisposable {
  readonly meter: MemoryMeter;
  readonly peers: Peers;
  readonly #cache: TemplateCache;

  private constructor(cache: TemplateCache, peers: Peers, meter: MemoryMeter) {
    this.#cache = cache;
    this.peers = peers;
    this.meter = meter;
  }

  static async open(options: FanNodeOptions): Promise<FanNode> {
    const { bucket, directory, addresses, own, random = systemRandom, clock = systemClock } = options;
    const indexes = new IndexBook();
    const meter = new MemoryMeter();
    const tools = { clock, random, meter, logger };
    const peers = new Peers({ addresses, secret: fanSecret, indexes, ...tools });
    const chunks = chunksFrom({ bucket, indexes, peers, ...tools });
    const shelf = { directory, bytesMax: 2 ** 34 };
    const sources = { chunks, objects: bucketObjects(bucket), indexes };
    const cache = await TemplateCache.open({ ...shelf, ...sources, ...tools });
    await peers.serve(new SharedView(cache), own);
    return new FanNode(cache, peers, meter);
  }

  /** Starts a build and reads one image from end to end; hands on each piece. */
  async read(
    build: string,
    artifact: ImageArtifact,
    onPiece: (piece: Buffer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await using lease = await this.#cache.acquire(build, "a sandbox", signal);
    await lease.open(artifact, signal);
    const device = lease.image(artifact);
    const piece = Buffer.alloc(1024 * 1024);
    for (let offset = 0; offset < device.bytes; offset += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, device.bytes - offset));
      await device.read(offset, part, signal);
      onPiece(part);
    }
  }

  /** Bytes of chunks that this node has read from `source`. */
  fetchedFrom(source: "bucket" | "peer"): number {
    return this.meter.get("larder_fetched_bytes_total", { source });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peers[Symbol.asyncDispose]();
    await this.#cache.close();
  }
}

/**
 * Addresses at which nobody listens, nor will soon: at a loopback address of their own, where no other test is given
 * one of these ports between now and their use.
 */
export async function freeAddresses(count: number): Promise<PeerAddress[]> {
  const host = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
  const servers = Array.from({ length: count }, () => createServer().listen(0, host));
  const addresses = [];
  for (const server of servers) {
    if (!server.listening) await once(server, "listening");
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    addresses.push({ host, port: address.port });
  }
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
  return addresses;
}
