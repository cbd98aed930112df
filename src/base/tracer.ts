type Facts = Readonly<Record<string, string | number | boolean>>;

/** A part of the work that has begun. */
export interface Span {
  /** `failure` is what it failed with, if it did. */
  end(failure?: unknown): void;
}

/** Tells how long parts of the work took, and which part belonged to which. */
export interface Tracer {
  /** Does `work` as a part of what is under way; what begins meanwhile in it is a part of this one. */
  span<T>(name: string, facts: Facts, work: () => Promise<T>): Promise<T>;
  /** Begins a part of what is under way, to be ended by hand. */
  open(name: string, facts: Facts): Span;
}

/** For whoever wants to know nothing. */
export const silentTracer: Tracer = {
  span: (_name, _facts, work) => work(),
  open: () => ({ end: () => {} }),
};
