import { Readable } from "node:stream";
import { Failure } from "../base/failure.ts";
import type { GuestBytes } from "./guest-bytes.ts";
import { encodeLength, type LaneOffer, slotAddress } from "./protocol/lane.ts";

/**
 * A body that goes by a lane: its bytes are put into the slots, and what is read of this are their lengths. It takes
 * no more of the body than the guest has room for. A slot that is not full is sent only when the guest would else
 * have nothing to do.
 */
export class LaneSender extends Readable {
  readonly #body: Readable;
  readonly #lane: LaneOffer;
  readonly #memory: GuestBytes;
  /** Of a piece that did not fit. */
  #rest: Buffer = Buffer.alloc(0);
  #slot = 0;
  #filled = 0;
  #free: number;
  #bodyEnded = false;

  constructor(body: Readable, lane: LaneOffer, memory: GuestBytes) {
    super();
    this.#body = body;
    this.#lane = lane;
    this.#memory = memory;
    this.#free = lane.slots;
    body.on("data", (piece: Buffer) => {
      this.#rest = piece;
      this.#go();
    });
    body.once("end", () => {
      this.#bodyEnded = true;
      this.#go();
    });
    body.once("error", (error) => this.destroy(error));
    body.once("close", () => {
      if (!body.readableEnded)
        this.destroy(new Failure("cancelled", "the body of the request was cut short"));
    });
  }

  /** The guest has emptied so many slots. */
  emptied(count: number): void {
    this.#free = Math.min(this.#free + count, this.#lane.slots);
    this.#go();
  }

  override _read(): void {}

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#body.destroy();
    done(error);
  }

  #go(): void {
    if (this.destroyed) return;
    try {
      while (this.#rest.length > 0 && this.#free > 0) this.#fill();
    } catch (error) {
      this.destroy(Failure.from(error));
      return;
    }
    const isIdle = this.#free === this.#lane.slots;
    if (this.#filled > 0 && (isIdle || this.#isComplete)) this.#send();
    if (this.#rest.length > 0) this.#body.pause();
    else if (this.#isComplete) this.push(null);
    else this.#body.resume();
  }

  get #isComplete(): boolean {
    return this.#bodyEnded && this.#rest.length === 0;
  }

  #fill(): void {
    const { slotBytes } = this.#lane;
    const piece = this.#rest.subarray(0, slotBytes - this.#filled);
    this.#memory.writeNow(slotAddress(this.#lane, this.#slot) + this.#filled, piece);
    this.#rest = this.#rest.subarray(piece.length);
    this.#filled += piece.length;
    if (this.#filled === slotBytes) this.#send();
  }

  #send(): void {
    this.push(encodeLength(this.#filled));
    this.#filled = 0;
    this.#free -= 1;
    this.#slot = (this.#slot + 1) % this.#lane.slots;
  }
}
