import { abortable, abortableOrGivenBack } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";

export interface RoomOptions {
  /** High water: what the shelf may hold, reservations included. */
  readonly bytesMax: number;
  /** Evicts what nobody leases until `bytes` more would fit, as far as that is possible. */
  readonly makeRoom: (bytes: number) => Promise<void>;
  /** With `bytes` more, the disk would have less free than its floor. */
  readonly isCrowded: (bytes: number) => Promise<boolean>;
}

/** Bytes of the shelf that are promised to a write. What is not used is given back. */
export class Reservation implements Disposable {
  readonly #room: Room;
  readonly #whole: Reservation | undefined;
  #bytes: number;
  #over = false;

  constructor(room: Room, bytes: number, whole?: Reservation) {
    this.#room = room;
    this.#bytes = bytes;
    this.#whole = whole;
  }

  /** So many of the reserved bytes are on the disk now. */
  keep(bytes: number): void {
    this.#bytes -= bytes;
    this.#room.settle(bytes, bytes);
  }

  /** A part of this reservation, which gives back to it what it does not use; undefined when it is used up. */
  part(bytes: number): Reservation | undefined {
    if (this.#over || bytes > this.#bytes) return undefined;
    this.#bytes -= bytes;
    return new Reservation(this.#room, bytes, this);
  }

  [Symbol.dispose](): void {
    const whole = this.#whole;
    if (whole !== undefined && !whole.#over) whole.#bytes += this.#bytes;
    else this.#room.settle(this.#bytes, 0);
    this.#bytes = 0;
    this.#over = true;
  }
}

/** The budget of a shelf, in bytes. Room is reserved before it is written, temporary files included (C18). */
export class Room {
  readonly #options: RoomOptions;
  #keptBytes = 0;
  #reservedBytes = 0;
  #freed = Promise.withResolvers<void>();
  /** What waits for room, and what it lacks. */
  readonly #lacking = new Map<string, string>();

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

  /**
   * Reserves at once or after evicting; undefined when there is no room: the caller passes its bytes through. What
   * comes after `signal` has aborted is given back: nobody who leaves may hold up an eviction that waits for him.
   */
  tryReserve(bytes: number, signal: AbortSignal): Promise<Reservation | undefined> {
    return heeding(this.#tryReserve(bytes), signal);
  }

  /** For a small file without which nothing of its build can be kept: the floor of free space is not asked. */
  tryReserveSmall(bytes: number, signal: AbortSignal): Promise<Reservation | undefined> {
    return heeding(this.#tryReserveSmall(bytes), signal);
  }

  async #tryReserve(bytes: number): Promise<Reservation | undefined> {
    let crowded = await this.#options.isCrowded(bytes);
    if (crowded || !this.fits(bytes)) {
      await this.#options.makeRoom(bytes);
      crowded = await this.#options.isCrowded(bytes);
    }
    return crowded ? undefined : this.#take(bytes);
  }

  async #tryReserveSmall(bytes: number): Promise<Reservation | undefined> {
    return (await this.#tryReserve(bytes)) ?? this.#take(bytes);
  }

  #lack(bytes: number, what: string): string {
    return `${what} needs ${bytes} bytes on the shelf, which holds ${this.#keptBytes} of ${this.bytesMax}`;
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
    for (;;) {
      const { promise } = this.#freed;
      try {
        const reservation = await this.tryReserveSmall(bytes, signal);
        if (reservation !== undefined) return reservation;
        if (bytes > this.bytesMax) throw new Failure("exhausted", this.#lack(bytes, what));
        this.#lacking.set(what, this.#lack(bytes, what));
        await abortable(promise, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
        throw new Failure("exhausted", this.#lack(bytes, what), { cause: error });
      } finally {
        this.#lacking.delete(what);
      }
    }
  }

  /** What something that waits for room lacks; undefined when it does not wait. */
  lackFor(what: string): string | undefined {
    return this.#lacking.get(what);
  }

  /** The same for what is large: it does not cross the floor of free space, which nobody here can lift. */
  async reserveLarge(bytes: number, what: string, signal: AbortSignal): Promise<Reservation> {
    if (bytes > 0 && (await this.#options.isCrowded(bytes))) {
      await this.#options.makeRoom(bytes);
      if (await this.#options.isCrowded(bytes)) {
        throw new Failure("exhausted", `${what} needs ${bytes} bytes, and the disk has too little free`);
      }
    }
    return await this.reserve(bytes, what, signal);
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

function heeding(
  reserving: Promise<Reservation | undefined>,
  signal: AbortSignal,
): Promise<Reservation | undefined> {
  return abortableOrGivenBack(reserving, (late) => late?.[Symbol.dispose](), signal);
}
