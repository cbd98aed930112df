import type { SharedImage } from "../../base/shared-image.ts";

const chunkBytes = 256 * 1024;

/** A file as an image of one run, all of it present unless the test takes bits away. */
export function fileImage(descriptor: number, bytes: number): SharedImage {
  const words = Math.ceil(bytes / chunkBytes / 32);
  const present = new Int32Array(new SharedArrayBuffer(4 * words)).fill(-1);
  const zero = new Int32Array(new SharedArrayBuffer(4 * words));
  const runs = {
    offsets: Float64Array.of(0, bytes),
    files: Int32Array.of(0),
    positions: Float64Array.of(0),
  };
  return { bytes, runs, files: [{ descriptor, chunkBytes, present, zero }] };
}
