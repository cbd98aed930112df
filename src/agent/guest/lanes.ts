import type { Clock } from "../../base/clock.ts";
import { encodeOffer, markBytes, markRoomBytes } from "../protocol/lane.ts";
import type { KernelRandom } from "./kernel-random.ts";
import type { LanePage, TakeLanePage } from "./lane-memory.ts";

/** Each transfer of a slot costs an emulated machine more than what is in it: few and large ones are best. */
const laneSlots = 2;
const slotBytes = 1020 * 1024;
/** What may pass by lanes at once. */
const lanesMax = 4;
/** How long the kernel is not asked again after it had no memory: it has searched for it, and nobody was answered. */
const searchAgainMs = 60_000;

/**
 * The lanes of this machine. Their memory is taken as more of them are needed, and kept. Those who find none go
 * without.
 */
export class Lanes {
  readonly #take: TakeLanePage;
  readonly #random: KernelRandom;
  readonly #clock: Clock;
  readonly #free: LanePage[] = [];
  readonly #open = new Map<string, Lane>();
  #searchAt = 0;

  constructor(take: TakeLanePage, random: KernelRandom, clock: Clock) {
    this.#take = take;
    this.#random = random;
    this.#clock = clock;
  }

  /** Undefined when all are in use. What is returned must be closed. */
  open(): Lane | undefined {
    const page = this.#free.pop() ?? this.#takeOne();
    if (page === undefined) return undefined;
    const { bytes, address } = page;
    const id = this.#random.bytes(8).toString("hex");
    const mark = this.#random.bytes(markBytes);
    bytes.fill(0); // All of it is the machine's own then, whatever snapshot it woke up from.
    bytes.set(mark);
    const starts = Array.from({ length: laneSlots }, (_, slot) => markRoomBytes + slot * slotBytes);
    const lane = new Lane({
      id,
      offer: encodeOffer({ id, mark, address, slotBytes, slots: laneSlots }),
      slots: starts.map((at) => bytes.subarray(at, at + slotBytes)),
      onUnused: () => {
        this.#open.delete(id);
        bytes.fill(0); // What a file held must not lie in snapshots.
        this.#free.push(page);
      },
    });
    this.#open.set(id, lane);
    return lane;
  }

  #takeOne(): LanePage | undefined {
    if (this.#open.size >= lanesMax || this.#clock.monotonic() < this.#searchAt) return undefined;
    const page = this.#take();
    if (page === undefined) this.#searchAt = this.#clock.monotonic() + searchAgainMs;
    return page;
  }

  find(id: string): Lane | undefined {
    return this.#open.get(id);
  }
}

interface LaneParts {
  readonly id: string;
  readonly offer: string;
  readonly slots: readonly Buffer[];
  readonly onUnused: () => void;
}

/** Slots that are lent to one transfer. They are nobody else's until it is closed and nobody holds it any more. */
export class Lane implements Disposable {
  readonly id: string;
  /** What the host is told. */
  readonly offer: string;
  readonly slots: readonly Buffer[];
  /** Tells the host that a slot that it has sent is empty again. */
  acknowledge: () => void = () => {};
  readonly #onUnused: () => void;
  #holders = 1;

  constructor({ id, offer, slots, onUnused }: LaneParts) {
    this.id = id;
    this.offer = offer;
    this.slots = slots;
    this.#onUnused = onUnused;
  }

  /** Keeps its slots from being lent to others, as long as something may still read or write them. */
  hold(): Disposable {
    this.#holders += 1;
    return { [Symbol.dispose]: () => this.#letGo() };
  }

  [Symbol.dispose](): void {
    this.#letGo();
  }

  #letGo(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#onUnused();
  }
}
