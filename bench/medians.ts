/** The middle value; of an even count the upper one of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** Milliseconds since `started`, a reading of `performance.now()`. */
export function since(started: number): number {
  return performance.now() - started;
}

export function rounded(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}

/** The value that so large a share of all do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
