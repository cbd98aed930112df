import { Failure, type FailureCode } from "../../base/failure.ts";
import type { ChunkRequest, ChunkSource } from "../chunk-source.ts";

export interface NumberedSource extends ChunkSource {
  /** What it was asked for, in order. */
  readonly asked: ChunkRequest[];
}

/** Before which chunk an attempt breaks off, and how. The first entry is for the first attempt, and so on. */
export type Breaks = readonly ({ readonly before: number; readonly code: FailureCode } | undefined)[];

/** A source whose chunks hold their own number as their only byte. */
export function numberedSource(breaks: Breaks = [], name = "numbers"): NumberedSource {
  const asked: ChunkRequest[] = [];
  return {
    name,
    asked,
    async *read(request) {
      const attempt = asked.push(request) - 1;
      const fault = breaks[attempt];
      const end = request.firstChunk + request.count;
      for (let index = request.firstChunk; index < end; index++) {
        if (fault?.before === index) throw new Failure(fault.code, `a planned fault before chunk ${index}`);
        yield { index, bytes: Uint8Array.of(index) };
      }
      if (fault?.before === end) throw new Failure(fault.code, "a planned fault at the end");
    },
  };
}

/** Chunks 3, 4, 5 and 6 of something. */
export const fourChunks: ChunkRequest = { build: "b", artifact: "rootfs", firstChunk: 3, count: 4 };

/** The numbers of the chunks that a source gives for `fourChunks`. */
export async function readNumbers(source: ChunkSource, signal: AbortSignal): Promise<number[]> {
  const got: number[] = [];
  for await (const { index } of source.read(fourChunks, signal)) got.push(index);
  return got;
}
