import type { ServerResponse } from "node:http";
import { deadline } from "../base/deadline.ts";
import { chunkBytes } from "../build/artifact.ts";
import { encodeFrameHead } from "./frames.ts";
import { rankForInput } from "./rendezvous.ts";
import { type Answering, sendFrame, whileTelling } from "./send-frames.ts";

export interface InputAnswerOptions extends Answering {
  readonly digest: string;
}

/** Streams an input in pieces as long as chunks, by the rules of `answerChunks`. */
export async function answerInput(
  options: InputAnswerOptions,
  to: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { digest, meter, offered } = options;
  const kept = offered.keptInput(digest);
  const pieces = kept ?? (mayWait(options) ? await fetched(options, to, signal) : undefined);
  meter.count("larder_peer_answers_total", { kind: kept ? "have" : pieces ? "waited" : "no" });
  if (pieces === undefined) return void to.end(encodeFrameHead("no"));
  let index = 0;
  for await (const piece of ofOneLength(pieces)) {
    await sendFrame(to, index++, piece, signal);
    meter.count("larder_peer_served_bytes_total", {}, piece.length);
  }
  to.end();
}

async function fetched(options: InputAnswerOptions, to: ServerResponse, signal: AbortSignal) {
  const { clock, digest, limits, offered } = options;
  using patience = deadline(clock, limits.inputWaitMsMax, "an input that a peer waits for", signal);
  return await whileTelling(
    options,
    to,
    () => offered.fetchedInput(digest, patience.signal),
    patience.signal,
  );
}

function mayWait({ asker, digest, node, offered, origins }: InputAnswerOptions): boolean {
  if (!offered.leased) return false;
  return rankForInput(node, digest) > rankForInput(asker, digest) || origins.hasInput(digest);
}

/** The same bytes in pieces of a chunk's length, but for the last one. */
async function* ofOneLength(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const piece of pieces) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    for (; rest.length >= chunkBytes; rest = rest.subarray(chunkBytes)) yield rest.subarray(0, chunkBytes);
  }
  if (rest.length > 0) yield rest;
}
