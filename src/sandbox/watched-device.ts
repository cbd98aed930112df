import type { BlockDevice, Extent } from "../base/block-device.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Whole } from "../base/tracer.ts";

/** A device that remembers why a read of it failed last: its reader in the machine learns no more than "I/O error". */
export class WatchedDevice implements BlockDevice {
  readonly #device: BlockDevice;
  #lastFailure: Failure | undefined;
  #onWell: () => void = () => {};
  #hurry = new AbortController();
  #onMiss: (offset: number, bytes: number) => void = () => {};
  #whole: Whole | undefined;

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

  /** Reads that have to wait are a part of this from now on: they come from a thread that knows of no create. */
  belongTo(whole: Whole): void {
    this.#whole = whole;
  }

  /** Calls back for each read that had to wait and was answered. */
  onWell(listener: () => void): void {
    this.#onWell = listener;
  }

  /**
   * Until this is disposed of, no read is waited for much longer than `ms`: the machine is to stop, which it cannot as
   * long as one is under way, and repeats what failed when it goes on.
   */
  hurry(clock: Clock, ms: number): Disposable {
    const abort = () => {
      this.#hurry.abort(new Failure("unavailable", "the machine is to stop"));
      this.#hurry = new AbortController();
      timer = clock.after(ms, abort);
    };
    let timer = clock.after(ms, abort);
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }

  readNow(offset: number, into: Uint8Array): boolean {
    return this.#device.readNow(offset, into);
  }

  async read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#onMiss(offset, into.length);
    const either = AbortSignal.any([signal, this.#hurry.signal]);
    const read = () => this.#device.read(offset, into, either);
    try {
      await (this.#whole?.within(read) ?? read());
    } catch (error) {
      if (!signal.aborted) this.#lastFailure = Failure.from(error);
      throw error;
    }
    this.#onWell();
  }

  extents(offset: number, length: number, extentsMax: number): Extent[] {
    return this.#device.extents(offset, length, extentsMax);
  }
}
