import type { Extent } from "../base/block-device.ts";

/** Extents with neighbours of one kind joined and none empty, cut off after `bytes`. */
export function joinedExtents(extents: readonly Extent[], bytes: number): Extent[] {
  const joined: Extent[] = [];
  let left = bytes;
  for (const extent of extents) {
    const length = Math.min(extent.bytes, left);
    const last = joined.at(-1);
    if (length <= 0) continue;
    if (last?.zero === extent.zero) joined[joined.length - 1] = { ...last, bytes: last.bytes + length };
    else joined.push({ bytes: length, zero: extent.zero });
    left -= length;
  }
  return joined;
}
