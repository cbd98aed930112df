import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import type { Meter } from "../base/meter.ts";
import { encodeFrameHead } from "./frames.ts";
import type { OfferedBuild } from "./offering.ts";
import type { OriginReads } from "./origin-reads.ts";
import type { PeerLimits } from "./peer-limits.ts";

/** What a peer is answered with, and by whom. */
export interface Answering {
  readonly offered: OfferedBuild;
  /** The name of who asks, and of this node. */
  readonly asker: string;
  readonly node: string;
  readonly origins: OriginReads;
  readonly limits: PeerLimits;
  readonly clock: Clock;
  readonly meter: Meter;
}

/** What fails here is told to its own readers, by the flight; a peer only learns that it has to look elsewhere. */
export async function whileTelling<T>(
  { clock, limits }: Pick<Answering, "clock" | "limits">,
  to: ServerResponse,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  let timer: Disposable | undefined;
  const tell = () => {
    to.write(encodeFrameHead("under way"));
    timer = clock.after(limits.underWayMs, tell);
  };
  tell();
  try {
    return await abortable(work(), signal);
  } catch {
    return undefined;
  } finally {
    timer?.[Symbol.dispose]();
  }
}

/** Resolves when the peer has taken enough for the next piece to be read. */
export async function sendFrame(
  to: ServerResponse,
  index: number,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  to.cork();
  to.write(encodeFrameHead("have", index, bytes.length));
  to.write(bytes);
  to.uncork();
  if (to.writableNeedDrain) await once(to, "drain", { signal });
}
