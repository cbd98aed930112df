import type { Output } from "./command.ts";

/** What the makers of templates tell while they work. */
export interface Progress {
  readonly step: string;
  readonly detail: string;
  /** 0 … 1, where it is known. */
  readonly fraction?: number;
  /** Since the step began. */
  readonly seconds: number;
  /** True for the last event of a step. */
  readonly done: boolean;
}

/** Without a terminal a long step is heard of this often. */
const quietSecondsMax = 10;

/** Shows progress: on a terminal one line that changes, elsewhere a line now and then. */
export function progressScreen(output: Output): (progress: Progress) => void {
  return output.isTTY === true ? changingLine(output) : plainLines(output);
}

function changingLine(output: Output): (progress: Progress) => void {
  const clear = "\r\u001b[2K";
  return (progress) => {
    const { step, detail, seconds, done } = progress;
    if (done) output.write(`${clear}  ✓ ${step}: ${detail} (${seconds.toFixed(1)} s)\n`);
    else output.write(`${clear}  … ${step}: ${detail}${percent(progress)}`.slice(0, 200));
  };
}

function plainLines(output: Output): (progress: Progress) => void {
  const toldAt = new Map<string, number>();
  return (progress) => {
    const { step, detail, seconds, done } = progress;
    const told = toldAt.get(step);
    if (!done && told !== undefined && seconds - told < quietSecondsMax) return;
    if (done) toldAt.delete(step);
    else toldAt.set(step, seconds);
    const ended = done ? ` (done, ${seconds.toFixed(1)} s)` : percent(progress);
    output.write(`  ${step}: ${detail}${ended}\n`);
  };
}

function percent({ fraction }: Progress): string {
  return fraction === undefined ? "" : ` ${Math.floor(fraction * 100)} %`;
}
