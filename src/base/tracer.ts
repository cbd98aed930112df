type Facts = Readonly<Record<string, string | number | boolean>>;

/** A part of the work that has begun. */
export interface Span {
  /** `failure` is what it failed with, if it did. */
  end(failure?: unknown): void;
}

/** Something that is under way, to which work can belong that is begun from elsewhere. */
export interface Whole {
  /** What begins in `work`, at once or later, is a part of it. */
  within<T>(work: () => T): T;
}

/** Tells how long parts of the work took, and which part belonged to which. */
export interface Tracer {
  /** Does `work` as a part of what is under way; what begins meanwhile in it is a part of this one. */
  span<T>(name: string, facts: Facts, work: () => Promise<T>): Promise<T>;
  /** Begins a part of what is under way, to be ended by hand. */
  open(name: string, facts: Facts): Span;
  /** What is under way here. */
  here(): Whole;
  /** Nothing: what begins in it is a part of nothing else. */
  readonly apart: Whole;
}

const nothing: Whole = { within: (work) => work() };

/** For whoever wants to know nothing. */
export const silentTracer: Tracer = {
  span: (_name, _facts, work) => work(),
  open: () => ({ end: () => {} }),
  here: () => nothing,
  apart: nothing,
};
