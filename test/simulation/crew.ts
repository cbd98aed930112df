import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { WorldShape } from "./world-shape.ts";

/** What each thread of a crew is told. */
export interface Orders {
  readonly first: number;
  readonly count: number;
  /** Nobody takes another seed after one that has failed, which is not shrunk. */
  readonly untilFailure: boolean;
  /** After so many this thread ends, and another one goes on. */
  readonly worldsMax: number;
  /** One number: how many of the seeds are taken. */
  readonly taken: SharedArrayBuffer;
  /** For each thread the turn that it is at, or -1. */
  readonly current: SharedArrayBuffer;
  /** Which of them this thread's is. */
  readonly number: number;
}

/** Something was not as promised; and later what that world was shrunk to. */
export interface Report {
  readonly seed: number;
  readonly failure: string | undefined;
  readonly shape: WorldShape | undefined;
}

export interface CrewOptions {
  readonly first: number;
  readonly count: number;
  readonly untilFailure?: boolean;
  readonly threads: number;
  readonly onReport: (report: Report) => void;
  /** Called now and then with how many have begun. */
  readonly onProgress?: (count: number) => void;
}

/** A world that takes so long in real time never ends: a loop of promises lets no timer of its own fire. */
const worldMsMax = 120_000;
const lookMs = 10_000;
/** For what is young and soon gone, in MiB: with less of it, more is copied than need be. */
const youngMiB = 64;
const oldMiBMax = 2048;

/** What waits for ever in a process that is dead is never forgotten: after so many worlds another thread goes on. */
const worldsMax = 1_000;

/** Lets the worlds of so many seeds go by in some threads; resolves to how many did. */
export async function letGoBy({ threads, onReport, onProgress, ...rest }: CrewOptions): Promise<number> {
  const taken = new SharedArrayBuffer(4);
  const current = new SharedArrayBuffer(4 * threads);
  const begun = () => Math.min(Atomics.load(new Int32Array(taken), 0), rest.count);
  const turns = new Int32Array(current).fill(-1);
  const orders = { untilFailure: false, worldsMax, ...rest, taken, current };
  let failedAt: number | undefined;
  const onMessage = (report: Report) => {
    if (orders.untilFailure) failedAt = Math.min(failedAt ?? Infinity, report.seed - rest.first + 1);
    onReport(report);
  };
  const place = async (number: number) => {
    do {
      const member = new Worker(new URL("crew-member.ts", import.meta.url), {
        workerData: { ...orders, number } satisfies Orders,
        resourceLimits: { maxYoungGenerationSizeMb: youngMiB, maxOldGenerationSizeMb: oldMiBMax },
      });
      using _watched = watch(member, () => turns[number] ?? -1, rest.first, onMessage);
      await once(member.on("message", onMessage), "exit");
    } while (begun() < rest.count);
  };
  const teller = setInterval(() => onProgress?.(begun()), lookMs);
  try {
    await Promise.all(Array.from({ length: threads }, (_, number) => place(number)));
  } finally {
    clearInterval(teller);
  }
  return failedAt ?? begun();
}

/** Ends a thread whose world never ends. */
function watch(
  member: Worker,
  turn: () => number,
  first: number,
  onReport: CrewOptions["onReport"],
): Disposable {
  let since = { turn: -1, at: performance.now() };
  const look = () => {
    const now = turn();
    if (now !== since.turn) since = { turn: now, at: performance.now() };
    if (now < 0 || performance.now() - since.at < worldMsMax) return;
    since = { turn: -1, at: performance.now() };
    onReport({ seed: first + now, failure: "C8: the world never ends", shape: undefined });
    void member.terminate();
  };
  const watchman = setInterval(look, lookMs);
  return { [Symbol.dispose]: () => clearInterval(watchman) };
}
