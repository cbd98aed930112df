/** What the choice of what to evict needs to know of a build on the shelf. */
export interface Candidate {
  readonly build: string;
  readonly bytes: number;
  /** Bytes of those that are chunks, which can go without the rest. */
  readonly chunkBytes: number;
  /** When it was last leased; for a long lease, when that ended. */
  readonly usedAt: number;
  /** Somebody needs it. */
  readonly held: boolean;
}

/** `bytes` of the chunks of a build shall go; undefined: all of it. */
export interface Eviction {
  readonly build: string;
  readonly bytes: number | undefined;
}

/**
 * The least recently used builds that nobody needs, enough of them to free `bytes`, or all of them. Of the last one
 * only so many chunks go as are needed, if that is enough (C17).
 */
export function chooseEvictions(candidates: readonly Candidate[], bytes: number): Eviction[] {
  const oldestFirst = candidates
    .filter(({ held }) => !held)
    .sort((a, b) => a.usedAt - b.usedAt || (a.build < b.build ? -1 : 1));
  const chosen: Eviction[] = [];
  let needed = bytes;
  for (const candidate of oldestFirst) {
    if (needed <= 0) break;
    const isPartEnough = candidate.chunkBytes > needed;
    chosen.push({ build: candidate.build, bytes: isPartEnough ? needed : undefined });
    needed -= candidate.bytes;
  }
  return chosen;
}

/** Chunks that go together. Large, so that a disk is not left with holes of single chunks. */
export const extentChunks = 64;

/** Which of the kept chunks go to free `count` of them: whole extents, from the end. */
export function chooseExtents(kept: Iterable<number>, count: number): number[] {
  const extents = new Map<number, number[]>();
  for (const chunk of kept) {
    const extent = Math.floor(chunk / extentChunks);
    const chunks = extents.get(extent);
    if (chunks === undefined) extents.set(extent, [chunk]);
    else chunks.push(chunk);
  }
  const chosen: number[] = [];
  for (const extent of [...extents.keys()].sort((a, b) => b - a)) {
    if (chosen.length >= count) break;
    chosen.push(...(extents.get(extent) ?? []));
  }
  return chosen.sort((a, b) => a - b);
}
