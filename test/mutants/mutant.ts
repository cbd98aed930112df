export interface Mutant {
  /** Id of the promise in docs/semantics.md that the line guards. */
  readonly promise: string;
  /** What the mutation makes of the program, in words. */
  readonly change: string;
  /** Where: the text must stand there exactly once. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The test file, and how the title of the test that must fail begins. */
  readonly test: string;
  readonly title: string;
}
