import { Failure } from "../base/failure.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { Chunk } from "../build/chunk-source.ts";
import type { FrameReader } from "../build/frame-reader.ts";

/** What a peer answers to a request for chunks, one frame after the other. Bytes: docs/formats.md, "Between peers". */
export type Frame =
  | ({ readonly kind: "have" } & Chunk)
  /** The next chunk is under way: more will follow. */
  | { readonly kind: "under way" }
  /** Neither the next chunk nor any behind it. */
  | { readonly kind: "no" };

const kinds = ["have", "under way", "no"] as const;
const headBytes = 12;

export function encodeFrameHead(kind: Frame["kind"], index = 0, length = 0): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(kinds.indexOf(kind), 0);
  head.writeUInt32BE(index, 4);
  head.writeUInt32BE(length, 8);
  return head;
}

/** The next frame. Throws `corrupt` for anything that is none, or that is larger than a chunk. */
export async function readFrame(reader: FrameReader): Promise<Frame> {
  const head = Buffer.from(await reader.take(headBytes));
  const kind = kinds[head.readUInt32BE(0)];
  const index = head.readUInt32BE(4);
  const length = head.readUInt32BE(8);
  if (kind === undefined || length > chunkBytes || (kind !== "have" && length !== 0)) {
    throw new Failure("corrupt", `a peer sent a frame of kind ${head.readUInt32BE(0)} and ${length} bytes`);
  }
  return kind === "have" ? { kind, index, bytes: await reader.take(length) } : { kind };
}
