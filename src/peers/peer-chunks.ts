import type { IncomingMessage } from "node:http";
import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Gate } from "../base/gate.ts";
import type { Chunk, ChunkSource } from "../build/chunk-source.ts";
import { FrameReader } from "../build/frame-reader.ts";
import { readFrame } from "./frames.ts";
import { broken, type PeerConnection } from "./peer-connection.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { wakingDeadline } from "./waking-deadline.ts";

export interface PeerChunksOptions {
  readonly connection: PeerConnection;
  readonly clock: Clock;
  readonly limits: PeerLimits;
  /** Before it stand those who may not ask yet. */
  readonly gate: Gate;
  /** Aborts when the peer is not to be asked any more. */
  readonly given: () => AbortSignal;
}

/**
 * Chunks of one group from one peer, as it has them; not verified. Throws `not_found` where the peer has no more,
 * `exhausted` when it is busy; `unavailable` and `corrupt` are the peer's fault.
 */
export function peerChunks({ connection, clock, limits, gate, given }: PeerChunksOptions): ChunkSource {
  const { silenceMsMax, requestMsMax } = limits;
  const { name } = connection;
  return {
    name: "peer",
    async *read(request, signal) {
      const both = AbortSignal.any([signal, given()]);
      using _place = await gate.enter(both);
      using whole = wakingDeadline(clock, requestMsMax, `peer ${name}`, both);
      const soon = async <T>(step: (signal: AbortSignal) => Promise<T>): Promise<T> => {
        using next = wakingDeadline(clock, silenceMsMax, `an answer of peer ${name}`, whole.signal);
        return await abortable(step(next.signal), next.signal);
      };
      const answer = await soon((own) => connection.get({ kind: "chunks", ...request }, own));
      const reader = new FrameReader(
        answer.iterator({ destroyOnReturn: false }),
        `the answer of peer ${name}`,
      );
      let missing = request.count;
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
    },
  };
}

/** The next chunk, or undefined when it is still under way. */
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

/** An answer that was read to its last chunk leaves its connection to the next one. */
function leave(answer: IncomingMessage, reader: FrameReader, whole: boolean): void {
  if (!whole) answer.destroy();
  void reader.close().catch(ignore);
  answer.on("error", ignore);
  if (whole) answer.on("data", () => answer.destroy()).resume();
}
