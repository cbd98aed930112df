import { abortable } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";

export interface RoomOptions {
  /** High water: what the shelf may hold, reservations included. */
  readonly bytesMax: number;
  /** Evicts what nobody leases until `bytes` more would fit, as far as that is possible. */
  readonly makeRoom: (bytes: number) => Promise<void>;
  /** The disk has less free than its floor. */
  readonly isCrowded: () => Promise<boolean>;
}

/** Bytes of the shelf that are promised to a write. What is not used is given back. */
export class Reservation implements Disposable {
  readonly #room: Room;
  #bytes: number;

  constructor(room: Room, bytes: number) {
    this.#room = room;
    this.#bytes = bytes;
  }

  /** So many of the reserved bytes are on the disk now. */
  keep(bytes: number): void {
    this.#bytes -= bytes;
    this.#room.settle(bytes, bytes);
  }

  [Symbol.dispose](): void {
    this.#room.settle(this.#bytes, 0);
    this.#bytes = 0;
  }
}

/** The budget of a shelf, in bytes. Room is reserved before it is written, temporary files included (C18). */
export class Room {
  readonly #options: RoomOptions;
  #keptBytes = 0;
  #reservedBytes = 0;
  #freed = Promise.withResolvers<void>();

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  get bytesMax(): number {
    return this.#options.bytesMax;
  }

  /** True when `bytes` more would not go above high water. */
  fits(bytes: number): boolean {
    return this.#keptBytes + this.#reservedBytes + bytes <= this.#options.bytesMax;
  }

  /** Reserves at once or after evicting; undefined when there is no room: the caller passes its bytes through. */
  async tryReserve(bytes: number): Promise<Reservation | undefined> {
    let crowded = await this.#options.isCrowded();
    if (crowded || !this.fits(bytes)) {
      await this.#options.makeRoom(bytes);
      crowded = await this.#options.isCrowded();
    }
    return crowded ? undefined : this.#take(bytes);
  }

  /** Looks and takes in one step: nobody else can take the same room in between. */
  #take(bytes: number): Reservation | undefined {
    if (!this.fits(bytes)) return undefined;
    this.#reservedBytes += bytes;
    return new Reservation(this, bytes);
  }

  /**
   * Waits for room in the budget. Throws `exhausted`, naming the bytes, when `signal` aborts first or they can never
   * fit. The floor of free space is not asked: without index and manifest nothing could be passed through either.
   */
  async reserve(bytes: number, what: string, signal: AbortSignal): Promise<Reservation> {
    const { bytesMax } = this.#options;
    for (;;) {
      const { promise } = this.#freed;
      const reservation = (await this.tryReserve(bytes)) ?? this.#take(bytes);
      if (reservation !== undefined) return reservation;
      const message = `${what} needs ${bytes} bytes on the shelf, which holds ${this.#keptBytes} of ${bytesMax}`;
      if (bytes > bytesMax) throw new Failure("exhausted", message);
      await abortable(promise, signal).catch((error: unknown) => {
        throw new Failure("exhausted", message, { cause: error });
      });
    }
  }

  /** For what was found on the disk at start, and for what was freed (negative). */
  adjust(bytes: number): void {
    this.settle(0, bytes);
  }

  /** @internal For reservations: gives `reserved` back and counts `kept`. */
  settle(reserved: number, kept: number): void {
    this.#reservedBytes -= reserved;
    this.#keptBytes += kept;
    if (reserved > kept) this.wake();
  }

  /** Lets those who wait look again: room was freed, or a lease ended. */
  wake(): void {
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
  }
}
