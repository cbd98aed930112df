import type { ClientHttp2Session } from "node:http2";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";

/** How often an agent that somebody waits for is asked for a sign of life. */
const askEveryMs = 15_000;

/** A machine that waits for its disk says nothing either; one that is silent for so long is given up. */
const silenceMsMax = 60_000;

interface Watch {
  readonly clock: Clock;
  /** Whether anybody waits for the agent; if not, it is left to sleep. */
  readonly isAwaited: () => boolean;
  /** Called once. */
  readonly onSilent: (reason: Failure) => void;
}

/**
 * Notices that there is no life at the other end of a session any more. An agent that is started again says so itself;
 * this is for one that hangs, or does not come back.
 */
export function watchSession(session: ClientHttp2Session, { clock, ...watch }: Watch): Disposable {
  let askedAt: number | undefined;
  let timer: Disposable;
  const look = () => {
    if (askedAt === undefined && watch.isAwaited() && session.ping(() => (askedAt = undefined))) {
      askedAt = clock.monotonic();
    } else if (askedAt !== undefined && clock.monotonic() - askedAt >= silenceMsMax) {
      watch.onSilent(new Failure("unavailable", `the agent in the guest was silent for ${silenceMsMax} ms`));
      return;
    }
    timer = clock.after(askEveryMs, look);
  };
  timer = clock.after(askEveryMs, look);
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
