import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { WorldShape } from "./world-shape.ts";

/** What each thread of a crew is told. */
export interface Orders {
  readonly first: number;
  readonly count: number;
  /** Nobody takes another seed after one that has failed, which is not shrunk. */
  readonly untilFailure: boolean;
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

/** Lets the worlds of so many seeds go by in some threads; resolves to how many did. */
export async function letGoBy({ threads, onReport, onProgress, ...rest }: CrewOptions): Promise<number> {
  const taken = new SharedArrayBuffer(4);
  const current = new SharedArrayBuffer(4 * threads);
  const orders = { untilFailure: false, ...rest, taken, current };
  const begun = () => Math.min(Atomics.load(new Int32Array(taken), 0), rest.count);
  const turns = new Int32Array(current).fill(-1);
  const members = Array.from({ length: threads }, (_, number) => {
    const workerData: Orders = { ...orders, number };
    const resourceLimits = { maxYoungGenerationSizeMb: youngMiB, maxOldGenerationSizeMb: 2048 };
    const member = new Worker(new URL("crew-member.ts", import.meta.url), { workerData, resourceLimits });
    return member.on("message", onReport);
  });
  const since = Array.from({ length: threads }, () => ({ turn: -1, at: performance.now() }));
  const watchman = setInterval(() => {
    onProgress?.(begun());
    for (const [i, { turn, at }] of since.entries()) {
      const now = turns[i] ?? -1;
      if (now !== turn) since[i] = { turn: now, at: performance.now() };
      else if (now >= 0 && performance.now() - at > worldMsMax) {
        onReport({ seed: rest.first + now, failure: "C8: the world never ends", shape: undefined });
        void members[i]?.terminate();
      }
    }
  }, lookMs);
  try {
    await Promise.all(members.map((member) => once(member, "exit")));
  } finally {
    clearInterval(watchman);
  }
  return begun();
}
