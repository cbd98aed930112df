import { UsageError } from "./usage-error.ts";

/** The value of `--timeout`. */
export function secondsOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--timeout '${text}' is no number of seconds`);
  return Number(text);
}
