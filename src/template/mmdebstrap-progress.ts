/** How far mmdebstrap is, from the lines that it and the programs below it print. */
export class MmdebstrapProgress {
  #phase: Phase = { from: 0, to: 0.05, linesEach: 1 };
  #packages = 0;
  #lines = 0;
  #fraction = 0;

  /** What a line tells, or undefined if that is nothing worth showing. */
  next(line: string): { readonly detail: string; readonly fraction: number } | undefined {
    const newPhase = phases.find(({ begins }) => line.startsWith(begins));
    if (newPhase !== undefined) {
      this.#phase = newPhase;
      this.#lines = 0;
      return this.#tell(newPhase.detail, newPhase.from);
    }
    const planned = /^\d+ upgraded, (\d+) newly installed/.exec(line)?.[1];
    if (planned !== undefined) this.#packages = Number(planned);
    const work = /^(?:(Unpacking|Setting up) (\S+)|Get:\d+ \S+ \S+ \S+ (\S+))/.exec(line);
    if (work === null) return undefined;
    this.#lines += 1;
    const [, verb = "fetching", worked, fetched] = work;
    const { from, to, linesEach } = this.#phase;
    const expected = Math.max(1, this.#packages * linesEach);
    return this.#tell(
      `${verb.toLowerCase()} ${worked ?? fetched ?? ""}`,
      from + (to - from) * Math.min(1, this.#lines / expected),
    );
  }

  #tell(detail: string, fraction: number) {
    this.#fraction = Math.max(this.#fraction, fraction);
    return { detail, fraction: this.#fraction };
  }
}

interface Phase {
  readonly from: number;
  readonly to: number;
  /** A package is told of when it is fetched, unpacked, set up: as many of these as belong to the phase. */
  readonly linesEach: number;
}

/** Which share of the time each phase takes, as measured. */
const phases: readonly (Phase & { begins: string; detail: string })[] = [
  {
    begins: "I: running apt-get update",
    detail: "reading lists of packages",
    from: 0,
    to: 0.05,
    linesEach: 1,
  },
  { begins: "I: downloading packages", detail: "fetching packages", from: 0.05, to: 0.15, linesEach: 1 },
  {
    begins: "I: extracting archives",
    detail: "unpacking the first packages",
    from: 0.15,
    to: 0.2,
    linesEach: 1,
  },
  {
    begins: "I: installing essential packages",
    detail: "installing essential packages",
    from: 0.2,
    to: 0.5,
    linesEach: 2,
  },
  {
    begins: "I: installing remaining packages",
    detail: "installing the others",
    from: 0.5,
    to: 0.96,
    linesEach: 3,
  },
  { begins: "I: cleaning package lists", detail: "cleaning up", from: 0.96, to: 1, linesEach: 1 },
];
