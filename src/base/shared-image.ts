import type { BlockDevice } from "./block-device.ts";

/** A file of an image on this node, as any thread of this process may read it. */
export interface SharedFile {
  /** Open for reading as long as the image is lent. */
  readonly descriptor: number;
  readonly chunkBytes: number;
  /** One bit a chunk, in shared memory: it may be read from the file. Bits come, and on a failing disk they go. */
  readonly present: Int32Array;
  /** One bit a chunk, in shared memory: it is zeros. Never changes. */
  readonly zero: Int32Array;
}

/** Which stretch of a device lies where: runs in order, without gaps. In shared memory; never changes. */
export interface SharedRuns {
  /** Where each run begins on the device; the last entry is the device's end. */
  readonly offsets: Float64Array;
  /** Which of the image's files holds it, or -1 for zeros, which nobody stores. */
  readonly files: Int32Array;
  /** Where in that file. */
  readonly positions: Float64Array;
}

/** An image, laid open to other threads: they read what is present without asking. Can be sent to a worker. */
export interface SharedImage {
  readonly bytes: number;
  readonly runs: SharedRuns;
  readonly files: readonly SharedFile[];
}

/** An image on loan. Its files stay open and unchanged until it is disposed of. */
export interface LentImage extends Disposable {
  readonly image: SharedImage;
}

/** A device that can be read from other threads too. */
export interface LendableDevice extends BlockDevice {
  lend(readers: OtherReaders): LentImage;
}

/** Those who read lent images in other threads. */
export interface OtherReaders {
  /** Resolves when whatever they found present before this call was read to its end, and has reached its client. */
  passed(): Promise<void>;
}
