import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { blockBytes } from "../build/artifact.ts";

/** A stretch of the device that an overlay holds itself. */
export interface OverlayExtent {
  readonly offset: number;
  readonly length: number;
  /** Where it lies in the overlay's file; undefined for zeros. */
  readonly fileOffset: number | undefined;
}

const blocks = z
  .int()
  .min(0)
  .refine((value) => value % blockBytes === 0);

const entry = z.object({
  start: blocks,
  length: blocks,
  present: z.boolean(),
  zero: z.boolean(),
  data: z.boolean(),
  offset: z.int().min(0).optional(),
});

/**
 * What the overlay holds, from the JSON of `qemu-img map` of the overlay alone: what is `present` is its own (zeros
 * too), all else its backing's. Throws `corrupt` for an overlay that is not as a VMM writes it.
 */
export function overlayExtents(json: string, deviceBytes: number): OverlayExtent[] {
  const parsed = z.array(entry).safeParse(JSON.parse(json));
  if (!parsed.success) throw new Failure("corrupt", "the map of the overlay is damaged");
  const extents: OverlayExtent[] = [];
  for (const { start, length, present, zero, offset } of parsed.data) {
    if (!present || length === 0) continue;
    if (start + length > deviceBytes) throw new Failure("corrupt", "the overlay is larger than its device");
    if (!zero && offset === undefined) throw new Failure("corrupt", "the overlay holds what lies nowhere");
    extents.push({ offset: start, length, fileOffset: zero ? undefined : offset });
  }
  return extents;
}
