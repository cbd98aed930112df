import { Failure } from "../../base/failure.ts";
import type { OfferedBuild, OfferedImage, Offering } from "../offering.ts";
import { numberedChunk, testBuild } from "./numbered-image.ts";

/** What a node has of the test build's disk, said by the test. */
export class TestShelf implements Offering {
  readonly chunkCount: number;
  readonly kept = new Set<number>();
  /** Inputs by their digests. */
  readonly inputs = new Map<string, Buffer>();
  /** The same as `flight`, of an input. */
  inputFlight: (digest: string, signal: AbortSignal) => Promise<void> = (_digest, signal) => neverOf(signal);
  leased = false;
  /** Claims that were made and not given back. */
  claims = 0;
  /** What becomes of the flights: replaced by the test. Until then none ever lands. */
  flight: (chunk: number, signal: AbortSignal) => Promise<void> = (_chunk, signal) => neverOf(signal);
  /** Called when a chunk is looked for. */
  onRead: () => void = () => {};
  /** Chunks for which a flight was joined or started. */
  readonly fetches: number[] = [];

  constructor(chunkCount: number, kept: Iterable<number> = []) {
    this.chunkCount = chunkCount;
    for (const chunk of kept) this.kept.add(chunk);
  }

  claim(build: string): OfferedBuild | undefined {
    if (build !== testBuild || (!this.leased && this.kept.size === 0 && this.inputs.size === 0))
      return undefined;
    this.claims += 1;
    const image = this.#image();
    return {
      leased: this.leased,
      kept: async (artifact) => (artifact === "rootfs" && this.kept.size > 0 ? image : undefined),
      opened: async () => image,
      inputs: [...this.inputs.keys()],
      keptInput: (digest) => inPieces(this.inputs.get(digest)),
      fetchedInput: async (digest, signal) => {
        await this.inputFlight(digest, signal);
        return inPieces(this.inputs.get(digest)) ?? inPieces(Buffer.alloc(0));
      },
      [Symbol.asyncDispose]: async () => void (this.claims -= 1),
    };
  }

  #image(): OfferedImage {
    return {
      chunkCount: this.chunkCount,
      has: (chunk) => this.kept.has(chunk),
      read: (chunk) => {
        this.onRead();
        return this.kept.has(chunk) ? numberedChunk(chunk) : undefined;
      },
      fetched: async (chunk, signal) => {
        this.fetches.push(chunk);
        await this.flight(chunk, signal);
        return numberedChunk(chunk);
      },
    };
  }
}

function neverOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = () => reject(new Failure("cancelled", "nobody waits any more"));
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** Pieces of another length than those that travel. */
function inPieces(bytes: Buffer): AsyncIterable<Uint8Array>;
function inPieces(bytes: Buffer | undefined): AsyncIterable<Uint8Array> | undefined;
function inPieces(bytes: Buffer | undefined): AsyncIterable<Uint8Array> | undefined {
  if (bytes === undefined) return undefined;
  const pieceBytes = 100_000;
  return (async function* () {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  })();
}
