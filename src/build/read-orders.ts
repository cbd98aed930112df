import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { readOrderKey } from "./object-keys.ts";

/** The chunks that a machine reads first when it starts from a build, in the order in which it does. */
export interface ReadOrder {
  readonly rootfs: readonly number[];
  readonly memfile: readonly number[];
}

const version = 1;
/** More chunks of one artifact are not remembered: 4 GiB. */
const chunksMax = 16_384;
const bytesMax = 512 * 1024;

const chunks = z.array(z.int().min(0)).max(chunksMax);
const order = z.object({ formatVersion: z.literal(version), rootfs: chunks, memfile: chunks });

/**
 * The orders that lie beside the builds in a bucket. Each is a hint, written once by whoever starts a build first: a
 * missing or bad one costs time and nothing else.
 */
export class ReadOrders {
  readonly #bucket: Pick<Bucket, "read" | "put">;

  constructor(bucket: Pick<Bucket, "read" | "put">) {
    this.#bucket = bucket;
  }

  /** Undefined when there is none, or none that this program understands. */
  async find(build: string, signal: AbortSignal): Promise<ReadOrder | undefined> {
    const pieces: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const piece of this.#bucket.read(readOrderKey(build), undefined, signal)) {
        bytes += piece.length;
        if (bytes > bytesMax) return undefined;
        pieces.push(Buffer.from(piece));
      }
    } catch (error) {
      if (Failure.is(error, "not_found")) return undefined;
      throw error;
    }
    return parseOrder(Buffer.concat(pieces).toString());
  }

  /** Keeps it, unless somebody was faster. */
  async keep(build: string, { memfile, rootfs }: ReadOrder, signal: AbortSignal): Promise<void> {
    const value = {
      formatVersion: version,
      rootfs: rootfs.slice(0, chunksMax),
      memfile: memfile.slice(0, chunksMax),
    };
    const body = Buffer.from(`${JSON.stringify(value)}\n`);
    try {
      await this.#bucket.put(readOrderKey(build), body, { ifNoneMatch: "*" }, signal);
    } catch (error) {
      if (!Failure.is(error, "conflict")) throw error;
    }
  }
}

function parseOrder(text: string): ReadOrder | undefined {
  try {
    return order.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
