import type { Extent } from "../../base/block-device.ts";
import type { SharedImage } from "../../base/shared-image.ts";

const chunkBytes = 256 * 1024;

/** A file as an image, all of it present unless the test takes bits away. Zeros of `extents` are runs of their own. */
export function fileImage(
  descriptor: number,
  bytes: number,
  extents: readonly Extent[] = [{ bytes, zero: false }],
): SharedImage {
  const words = Math.ceil(bytes / chunkBytes / 32);
  const present = new Int32Array(new SharedArrayBuffer(4 * words)).fill(-1);
  const zero = new Int32Array(new SharedArrayBuffer(4 * words));
  const offsets = Float64Array.from([0, ...extents.map((extent) => extent.bytes)]);
  for (let i = 1; i < offsets.length; i++) offsets[i] = (offsets[i] ?? 0) + (offsets[i - 1] ?? 0);
  const files = Int32Array.from(extents, (extent) => (extent.zero ? -1 : 0));
  const positions = offsets.subarray(0, extents.length);
  return { bytes, runs: { offsets, files, positions }, files: [{ descriptor, chunkBytes, present, zero }] };
}
