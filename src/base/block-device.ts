/** A stretch of a device that is all zeros, or may hold data. */
export interface Extent {
  readonly bytes: number;
  readonly zero: boolean;
}

/** A read-only disk, as an export offers it. Offsets and lengths are in bytes, any alignment. */
export interface BlockDevice {
  readonly bytes: number;
  /**
   * Fills all of `into` from `offset` on without waiting, if everything is at hand; else changes nothing
   * that the caller may rely on and returns false. Never starts a fetch.
   */
  readNow(offset: number, into: Uint8Array): boolean;
  /** Fills all of `into` from `offset` on. Throws a Failure; never hands out bytes that were not verified. */
  read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void>;
  /** What is known of `length` bytes from `offset` on, in order, without gaps, at most `extentsMax` entries. */
  extents(offset: number, length: number, extentsMax: number): Extent[];
}
