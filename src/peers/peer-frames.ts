import type { IncomingMessage } from "node:http";
import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Gate } from "../base/gate.ts";
import type { Chunk } from "../build/chunk-source.ts";
import { FrameReader } from "../build/frame-reader.ts";
import { readFrame } from "./frames.ts";
import { broken, type PeerConnection } from "./peer-connection.ts";
import type { PeerLimits } from "./peer-limits.ts";
import type { Question } from "./question.ts";
import { wakingDeadline } from "./waking-deadline.ts";

export interface PeerAsking {
  readonly connection: PeerConnection;
  readonly clock: Clock;
  readonly limits: PeerLimits;
  /** Before it stand those who may not ask yet. */
  readonly gate: Gate;
  /** Aborts when the peer is not to be asked any more. */
  readonly given: () => AbortSignal;
}

export interface Expected {
  readonly question: Question;
  /** Frames that bring something. */
  readonly count: number;
  /** Longest that all of it may take. */
  readonly wholeMsMax: number;
}

/**
 * What one peer answers, piece by piece; not verified. Throws `not_found` where the peer has no more, `exhausted` when
 * it is busy; `unavailable` and `corrupt` are the peer's fault.
 */
export async function* peerFrames(
  { connection, clock, limits, gate, given }: PeerAsking,
  { question, count, wholeMsMax }: Expected,
  signal: AbortSignal,
): AsyncIterable<Chunk> {
  const { silenceMsMax } = limits;
  const { name } = connection;
  const both = AbortSignal.any([signal, given()]);
  using _place = await gate.enter(both);
  using whole = wakingDeadline(clock, wholeMsMax, `peer ${name}`, both);
  const soon = async <T>(step: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    using next = wakingDeadline(clock, silenceMsMax, `an answer of peer ${name}`, whole.signal);
    return await abortable(step(next.signal), next.signal);
  };
  const answer = await soon((own) => connection.get(question, own));
  const reader = new FrameReader(answer.iterator({ destroyOnReturn: false }), `the answer of peer ${name}`);
  let missing = count;
  try {
    while (missing > 0) {
      const frame = await soon(() => nextOf(reader, name));
      if (frame === undefined) continue;
      missing -= 1;
      yield frame;
    }
  } finally {
    leave(answer, reader, missing === 0);
  }
}

/** The next piece, or undefined when it is still under way. */
async function nextOf(reader: FrameReader, name: string): Promise<Chunk | undefined> {
  const frame = await readFrame(reader).catch((error: unknown) => {
    throw brokenOff(name, error);
  });
  if (frame.kind === "no") throw new Failure("not_found", `peer ${name} has no more of it`);
  return frame.kind === "have" ? frame : undefined;
}

/** An answer that ends too early is no lie: its peer has died. */
function brokenOff(name: string, error: unknown): Failure {
  return Failure.is(error, "corrupt") ? error : broken(name, error);
}

/** An answer that was read to its last piece leaves its connection to the next one. */
function leave(answer: IncomingMessage, reader: FrameReader, whole: boolean): void {
  if (!whole) answer.destroy();
  void reader.close().catch(ignore);
  answer.on("error", ignore);
  if (whole) answer.on("data", () => answer.destroy()).resume();
}
