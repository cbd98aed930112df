/** Published packages of `e2b`, the oldest first: one of about every five that there are, and the two in daily use. */
export const versions: readonly string[] = [
  ...["1.0.5", "1.3.0", "1.9.0", "1.13.2"],
  ...["2.0.3", "2.2.10", "2.8.4", "2.15.0", "2.21.0", "2.30.5", "2.39.0", "2.45.0", "2.51.0"],
];
