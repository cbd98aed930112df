/** The unit of the kernel's book-keeping, in bytes. */
export const pageBytes = 4096;

/** A stretch of a machine's memory, in bytes; whole pages. */
export interface MemoryRange {
  readonly offset: number;
  readonly length: number;
}

/** Bits 63, 62 and 61 of an entry, in its upper half: present, swapped, page of a file (Linux, mm/pagemap). */
const present = 0x8000_0000;
const swapped = 0x4000_0000;
const ofFile = 0x2000_0000;

/**
 * Adds the dirty pages that `entries` tell to `ranges`. A page of a private mapping is dirty when the process has one
 * of its own instead of the file's. `offset` is that of the first page.
 */
export function addDirtyPages(ranges: MemoryRange[], entries: Buffer, offset: number): void {
  for (let at = 0; at < entries.length; at += 8) {
    const flags = entries.readUInt32LE(at + 4);
    if ((flags & (present | swapped)) === 0 || (flags & ofFile) !== 0) continue;
    addRange(ranges, { offset: offset + (at / 8) * pageBytes, length: pageBytes });
  }
}

/** Adds a range behind all others, joined with the last one when it follows it. */
export function addRange(ranges: MemoryRange[], { offset, length }: MemoryRange): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.offset + last.length === offset)
    ranges[ranges.length - 1] = { offset: last.offset, length: last.length + length };
  else ranges.push({ offset, length });
}

/** All that lies in one of two lists of ranges, each in order. */
export function unionOf(first: readonly MemoryRange[], second: readonly MemoryRange[]): MemoryRange[] {
  const union: { offset: number; length: number }[] = [];
  for (const { offset, length } of [...first, ...second].sort((a, b) => a.offset - b.offset)) {
    const last = union.at(-1);
    if (last !== undefined && offset <= last.offset + last.length)
      last.length = Math.max(last.length, offset + length - last.offset);
    else union.push({ offset, length });
  }
  return union;
}

export function bytesOf(ranges: readonly MemoryRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}
