import type { ServerResponse } from "node:http";
import { deadline } from "../base/deadline.ts";
import type { ChunkRequest } from "../build/chunk-source.ts";
import { encodeFrameHead } from "./frames.ts";
import type { OfferedImage } from "./offering.ts";
import { groupOf, rankOf } from "./rendezvous.ts";
import { type Answering, sendFrame, whileTelling } from "./send-frames.ts";

export interface ChunksAnswerOptions extends Answering {
  readonly request: ChunkRequest;
}

/**
 * Streams chunks: *have* with the bytes, *under way* as long as the next one is being fetched, *no* at the first that
 * is neither (C23). Only who stands below this node in the order of the group may wait on a flight of its, which makes
 * it the owner in the asker's eyes; or anybody, while the bucket is being read.
 */
export async function answerChunks(
  options: ChunksAnswerOptions,
  to: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { request, limits, clock, meter } = options;
  using patience = deadline(clock, limits.waitMsMax, "a flight that a peer waits for", signal);
  const image = await imageFor(options, to, patience.signal);
  const end = request.firstChunk + request.count;
  for (let chunk = request.firstChunk; chunk < end; chunk++) {
    const kept = image?.read(chunk);
    const bytes = kept ?? (image && (await fetched(options, image, chunk, to, patience.signal)));
    signal.throwIfAborted();
    meter.count("larder_peer_answers_total", { kind: kept ? "have" : bytes ? "waited" : "no" });
    if (bytes === undefined) {
      to.write(encodeFrameHead("no"));
      break;
    }
    await sendFrame(to, chunk, bytes, signal);
    meter.count("larder_peer_served_bytes_total", {}, bytes.length);
  }
  to.end();
}

/** The image that is asked for; of a build that is leased here also one that nobody has opened yet. */
async function imageFor(
  options: ChunksAnswerOptions,
  to: ServerResponse,
  signal: AbortSignal,
): Promise<OfferedImage | undefined> {
  const { offered, request } = options;
  const { artifact, firstChunk } = request;
  const kept = await offered.kept(artifact, signal);
  if (kept !== undefined || !mayWait(options, firstChunk)) return inBounds(kept, request);
  const opened = await whileTelling(options, to, () => offered.opened(artifact, signal), signal);
  return inBounds(opened, request);
}

function inBounds(image: OfferedImage | undefined, { firstChunk, count }: ChunkRequest) {
  return image !== undefined && firstChunk + count <= image.chunkCount ? image : undefined;
}

/** A chunk by the flight that brings it; undefined when the asker may not wait, or has waited long enough. */
async function fetched(
  options: ChunksAnswerOptions,
  image: OfferedImage,
  chunk: number,
  to: ServerResponse,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  if (!mayWait(options, chunk)) return undefined;
  return await whileTelling(options, to, () => image.fetched(chunk, signal), signal);
}

function mayWait({ offered, origins, asker, node, request }: ChunksAnswerOptions, chunk: number): boolean {
  if (!offered.leased) return false;
  const { build, artifact } = request;
  const group = groupOf(chunk);
  const isAbove = rankOf(node, build, artifact, group) > rankOf(asker, build, artifact, group);
  return isAbove || origins.has(build, artifact, chunk);
}
