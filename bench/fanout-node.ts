// One node of the benchmark fanout: says when it is ready, then reads a build from end to end and says what that took.
import { setTimeout as delay } from "node:timers/promises";
import { systemClock as clock } from "../src/base/clock.ts";
import { silentMeter as meter } from "../src/base/meter.ts";
import { systemRandom as random } from "../src/base/random.ts";
import type { Bucket } from "../src/bucket/bucket.ts";
import { openBucket } from "../src/bucket/open-bucket.ts";
import { FanNode } from "../src/daemon/testing/fan-node.ts";
import type { PeerAddress } from "../src/peers/peer-connection.ts";

export interface FanOrder {
  readonly build: string;
  readonly bucketUrl: string;
  readonly directory: string;
  readonly own: PeerAddress;
  readonly addresses: readonly PeerAddress[];
}

/** Bytes of chunks so far. */
export interface FanResult {
  readonly read: number;
  readonly fromBucket: number;
  readonly fromPeers: number;
}

/** What an object store takes to begin an answer. */
const latencyMs = 20;

if (process.argv[2] !== undefined) await run(JSON.parse(process.argv[2]) as FanOrder);

async function run(order: FanOrder): Promise<void> {
  const bucket = slow(openBucket(order.bucketUrl, { clock, random, meter, environment: {} }));
  {
    await using node = await FanNode.open({ ...order, bucket });
    const begin = new Promise((resolve) => process.once("message", resolve));
    tell(node, 0);
    await begin;
    let read = 0;
    const onPiece = (piece: Buffer) => tell(node, (read += piece.length));
    await node.read(order.build, "rootfs", onPiece, AbortSignal.timeout(10 * 60_000));
  }
  process.disconnect();
}

function tell(node: FanNode, read: number): void {
  const result: FanResult = {
    read,
    fromBucket: node.fetchedFrom("bucket"),
    fromPeers: node.fetchedFrom("peer"),
  };
  process.send?.(result);
}

function slow(bucket: Bucket): Bucket {
  return new Proxy(bucket, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property !== "read") return typeof value === "function" ? value.bind(target) : value;
      return async function* (...args: Parameters<Bucket["read"]>) {
        await delay(latencyMs);
        yield* target.read(...args);
      };
    },
  });
}
