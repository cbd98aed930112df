/** What the choice of what to evict needs to know of a build on the shelf. */
export interface Candidate {
  readonly build: string;
  readonly bytes: number;
  /** When it was last leased; for a long lease, when that ended. */
  readonly usedAt: number;
  readonly leased: boolean;
}

/** The least recently used builds that nobody leases, enough of them to free `bytes`, or all of them (C17). */
export function chooseEvictions(candidates: readonly Candidate[], bytes: number): string[] {
  const oldestFirst = candidates
    .filter(({ leased }) => !leased)
    .sort((a, b) => a.usedAt - b.usedAt || (a.build < b.build ? -1 : 1));
  const chosen: string[] = [];
  let freed = 0;
  for (const candidate of oldestFirst) {
    if (freed >= bytes) break;
    chosen.push(candidate.build);
    freed += candidate.bytes;
  }
  return chosen;
}
