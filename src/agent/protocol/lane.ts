/**
 * How the bytes of a file pass beside the channel, by memory of the guest that the host reads and writes.
 *
 * A lane is some slots of the guest's memory, lent to one transfer. The guest tells where they are, and which mark it
 * has put before the first: a host that does not find it there leaves lanes alone. The sender fills the
 * slots in turn and sends, where the bytes would be, the length of each as four bytes; the receiver answers with how
 * many slots it has emptied, as bytes to be added up. Until then a slot is the receiver's.
 *
 *   download   GET /files   `x-larder-lane: 1` says that the host takes one, the same header of the answer that it is
 *                           used, and where it is; acknowledgements are the body of the request
 *   upload     POST /lane   the answer's header tells where it is, its body are acknowledgements; the lane lasts as
 *                           long as the request does
 *              POST /files  `x-larder-lane: <id>`, with lengths as its body
 *
 * But for Content-Length nothing else is changed by it. Agents that know no lanes answer POST /lane with 404.
 */
export const laneHeader = "x-larder-lane";
/** Stands for Content-Length, which would not be that of the lengths. */
export const laneLengthHeader = "x-larder-length";
export const lanePath = "/lane";

/** What is smaller gains nothing. */
export const laneWorthBytes = 256 * 1024;

export const markBytes = 16;
/** Before the first slot, so that no file is put in the mark's place. */
export const markRoomBytes = 4096;
const slotBytesMax = 1024 * 1024;
const slotsMax = 16;
const lengthBytes = 4;

/** Where a lane is: room for a mark, and behind it all slots. */
export interface LaneOffer {
  readonly id: string;
  readonly mark: Buffer;
  /** In the memory of the machine. */
  readonly address: number;
  readonly slotBytes: number;
  readonly slots: number;
}

export function encodeOffer({ id, mark, address, slotBytes, slots }: LaneOffer): string {
  return [id, mark.toString("hex"), address, slotBytes, slots].join(" ");
}

/** Undefined when it is none: a guest may say anything. */
export function parseOffer(text: string | string[] | undefined): LaneOffer | undefined {
  const match = /^(\w{1,32}) ([0-9a-f]{32}) (\d{1,15}) (\d{1,7}) (\d{1,2})$/.exec(String(text));
  if (match === null) return undefined;
  const [, id = "", mark = "", address = "", slotBytes = "", slots = ""] = match;
  const offer = { id, mark: Buffer.from(mark, "hex"), address: Number(address) };
  const sizes = { slotBytes: Number(slotBytes), slots: Number(slots) };
  const isSized = sizes.slotBytes >= 1 && sizes.slotBytes <= slotBytesMax;
  return isSized && sizes.slots >= 1 && sizes.slots <= slotsMax ? { ...offer, ...sizes } : undefined;
}

export function slotAddress({ address, slotBytes }: LaneOffer, slot: number): number {
  return address + markRoomBytes + slot * slotBytes;
}

export function encodeLength(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  bytes.writeUInt32BE(length);
  return bytes;
}

/** Finds the lengths in what comes in pieces of any size. */
export class LengthSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(piece: Buffer): number[] {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const lengths: number[] = [];
    let at = 0;
    for (; at + lengthBytes <= bytes.length; at += lengthBytes) lengths.push(bytes.readUInt32BE(at));
    this.#rest = Buffer.from(bytes.subarray(at));
    return lengths;
  }
}
