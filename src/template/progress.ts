import type { Clock } from "../base/clock.ts";

/** One thing to tell the person who waits. */
export interface StepEvent {
  /** Which step: a name that stays, such as "root disk". */
  readonly step: string;
  /** What is being done, in words. */
  readonly detail: string;
  /** How much of the step is done, 0 … 1, where that is known. */
  readonly fraction?: number;
  /** Since the step began. */
  readonly seconds: number;
  /** True for the last event of a step. */
  readonly done: boolean;
}

export type OnProgress = (event: StepEvent) => void;

/** Tells about a step while it runs. */
export type Tell = (detail: string, fraction?: number) => void;

/** Runs `work` as one step: says when it begins, what `work` tells, and when it has ended well. */
export async function step<T>(
  name: string,
  clock: Clock,
  onProgress: OnProgress,
  work: (tell: Tell) => Promise<T>,
): Promise<T> {
  const began = clock.monotonic();
  let last = "";
  const report = (detail: string, done: boolean, fraction?: number) => {
    last = detail;
    const seconds = (clock.monotonic() - began) / 1000;
    onProgress({ step: name, detail, seconds, done, ...(fraction === undefined ? {} : { fraction }) });
  };
  const result = await work((detail, fraction) => report(detail, false, fraction));
  report(last, true, 1);
  return result;
}
