import type { BlockDevice, Extent } from "../base/block-device.ts";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { failureErrno } from "./failure-errno.ts";
import type { Terms } from "./handshake.ts";
import { joinedExtents } from "./joined-extents.ts";
import type { NbdLimits } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import { command, commandFlag, wireBytes } from "./protocol.ts";
import { isFileDevice } from "./file-device.ts";
import { QuickReads } from "./quick-reads.ts";
import { layOutRead, type Piece, piecesOf, readReplyBytes, type Target } from "./read-reply.ts";
import { blockStatusReply, doneReply, errorReply } from "./reply.ts";
import { type Refusal, type Request, refusalOf } from "./request.ts";

/** Shorter reads are not looked at for holes: finding one costs more than copying zeros. */
const holesFromBytes = 64 * 1024;
const holesMax = 64;
/** Entries of one block status reply; a client asks on from where they end. */
const extentsMax = 4096;

export interface TransmissionOptions {
  readonly device: BlockDevice;
  readonly terms: Terms;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly limits: NbdLimits;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Aborts when nobody waits for the replies any more. */
  readonly signal: AbortSignal;
}

/**
 * Serves the requests of one connection. What the device has at hand is answered before `serve` returns; other
 * reads are answered when the device has them, in any order.
 */
export class Transmission {
  readonly #o: TransmissionOptions;
  readonly #device: { readonly bytes: number; readonly requestBytesMax: number };
  /** Reads that the device has yet to answer; each resolves to what went wrong, if anything did. */
  readonly #waiting = new Set<Promise<Failure | undefined>>();
  readonly #quick: QuickReads | undefined;
  #waitingBytes = 0;
  #hits = 0;
  #bytesRead = 0;

  constructor(options: TransmissionOptions) {
    this.#o = options;
    const { device, limits } = options;
    this.#device = { bytes: device.bytes, requestBytesMax: limits.requestBytesMax };
    if (isFileDevice(device)) this.#quick = new QuickReads({ ...options, device, ...this.#device });
  }

  /** False while so much is under way that the next request must wait. */
  get hasRoom(): boolean {
    const { limits, outbox } = this.#o;
    return (
      this.#waiting.size < limits.readsInFlightMax &&
      this.#waitingBytes < limits.bytesInFlightMax &&
      outbox.bytes < limits.bytesUntakenMax
    );
  }

  /** Answers the simple reads at the front of `bytes`. Returns how many bytes these requests were. */
  serveSimple(bytes: Buffer): number {
    let at = 0;
    while (this.#quick !== undefined && at + wireBytes.request <= bytes.length && this.hasRoom) {
      if (!this.#quick.answer(bytes, at)) break;
      at += wireBytes.request;
    }
    return at;
  }

  /** Any request but DISCONNECT. Never throws for what a client sent or a device said. */
  serve(request: Request): void {
    const { outbox, terms } = this.#o;
    const refusal = refusalOf(request, terms, this.#device);
    if (refusal !== undefined) return outbox.append(errorReply(terms.structured, request.cookie, refusal));
    try {
      if (request.command === command.read) this.#read(request);
      else if (request.command === command.blockStatus) this.#blockStatus(request);
      else outbox.append(doneReply(terms.structured, request.cookie)); // a flush of what cannot be written
    } catch (error) {
      this.#fail(request, Failure.from(error));
    }
  }

  /** Sends what was answered since the last flush, and counts it. */
  flush(): void {
    this.#o.outbox.flush();
    if (this.#quick !== undefined) {
      this.#hits += this.#quick.answered;
      this.#bytesRead += this.#quick.answeredBytes;
      this.#quick.answered = this.#quick.answeredBytes = 0;
    }
    if (this.#hits > 0) this.#o.meter.count("larder_nbd_reads_total", { outcome: "hit" }, this.#hits);
    if (this.#bytesRead > 0) this.#o.meter.count("larder_nbd_read_bytes_total", {}, this.#bytesRead);
    this.#hits = 0;
    this.#bytesRead = 0;
  }

  /** Resolves when no read of this connection is with the device. */
  async settled(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
  }

  #read(request: Request): void {
    const { outbox, terms } = this.#o;
    const pieces = piecesOf(request, this.#holesOf(request));
    const replyBytes = readReplyBytes(terms.structured, pieces);
    const targets = layOutRead(terms.structured, request.cookie, pieces, outbox.carve(replyBytes));
    let atHand = false;
    try {
      atHand = targets.every(({ offset, into }) => this.#o.device.readNow(offset, into));
    } finally {
      if (!atHand) outbox.uncarve(replyBytes);
    }
    if (!atHand) return this.#readLater(request, pieces, replyBytes);
    this.#hits += 1;
    this.#bytesRead += request.bytes;
  }

  /** A reply without structure, or of one chunk by the client's wish, has no holes. */
  #holesOf({ flags, offset, bytes }: Request): Extent[] {
    const whole = !this.#o.terms.structured || (flags & commandFlag.dontFragment) !== 0;
    return whole || bytes < holesFromBytes ? [] : this.#o.device.extents(offset, bytes, holesMax);
  }

  #readLater(request: Request, pieces: readonly Piece[], replyBytes: number): void {
    const { clock, limits, signal, terms } = this.#o;
    const reply = Buffer.allocUnsafeSlow(replyBytes);
    const targets = layOutRead(terms.structured, request.cookie, pieces, reply);
    const filled = this.#fill(targets, deadline(clock, limits.readTimeoutMs, "a block read", signal));
    this.#waiting.add(filled);
    this.#waitingBytes += replyBytes;
    void filled.then((failure) => {
      this.#waiting.delete(filled);
      this.#waitingBytes -= replyBytes;
      if (!signal.aborted) this.#answer(request, reply, failure);
    });
  }

  #answer(request: Request, reply: Buffer, failure: Failure | undefined): void {
    const { meter, outbox } = this.#o;
    if (failure !== undefined) {
      this.#fail(request, failure);
      outbox.flush();
      return;
    }
    meter.count("larder_nbd_reads_total", { outcome: "miss" });
    meter.count("larder_nbd_read_bytes_total", {}, request.bytes);
    outbox.send(reply);
  }

  /** Waits for all of them, also when one fails: as long as one is under way the device writes to the reply. */
  async #fill(targets: readonly Target[], until: ReturnType<typeof deadline>): Promise<Failure | undefined> {
    using _until = until;
    const read = async ({ offset, into }: Target) => this.#o.device.read(offset, into, until.signal);
    const outcomes = await Promise.allSettled(targets.map(read));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    return failed === undefined ? undefined : Failure.from(failed.reason);
  }

  #blockStatus({ bytes, cookie, flags, offset }: Request): void {
    const most = (flags & commandFlag.requestOne) !== 0 ? 1 : extentsMax;
    const known = joinedExtents(this.#o.device.extents(offset, bytes, most), bytes);
    const extents = known.length > 0 ? known.slice(0, most) : [{ bytes, zero: false }];
    this.#o.outbox.append(blockStatusReply(cookie, extents));
  }

  /** The client learns the kind of failure only; the log learns the rest. */
  #fail({ bytes, command: id, cookie, offset }: Request, failure: Failure): void {
    const { logger, meter, outbox, terms } = this.#o;
    const refusal: Refusal = { errno: failureErrno[failure.code], sentence: `failed: ${failure.code}` };
    outbox.append(errorReply(terms.structured, cookie, refusal));
    if (id === command.read) meter.count("larder_nbd_reads_total", { outcome: "error" });
    const facts = { offset, bytes, code: failure.code, err: failure };
    if (failure.code === "internal") logger.error(facts, "NBD request failed");
    else logger.warn(facts, "NBD request failed");
  }
}
