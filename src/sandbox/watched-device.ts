import type { BlockDevice, Extent } from "../base/block-device.ts";
import { Failure } from "../base/failure.ts";

/** A device that remembers why a read of it failed last: its reader in the machine learns no more than "I/O error". */
export class WatchedDevice implements BlockDevice {
  readonly #device: BlockDevice;
  #lastFailure: Failure | undefined;

  #onMiss: (offset: number, bytes: number) => void = () => {};

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  get bytes(): number {
    return this.#device.bytes;
  }

  get lastFailure(): Failure | undefined {
    return this.#lastFailure;
  }

  /** Calls back for each read that has to wait. */
  onMiss(listener: (offset: number, bytes: number) => void): void {
    this.#onMiss = listener;
  }

  readNow(offset: number, into: Uint8Array): boolean {
    return this.#device.readNow(offset, into);
  }

  async read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#onMiss(offset, into.length);
    try {
      await this.#device.read(offset, into, signal);
    } catch (error) {
      if (!signal.aborted) this.#lastFailure = Failure.from(error);
      throw error;
    }
  }

  extents(offset: number, length: number, extentsMax: number): Extent[] {
    return this.#device.extents(offset, length, extentsMax);
  }
}
