import type { ClientHttp2Stream } from "node:http2";
import { Readable } from "node:stream";
import { Failure } from "../base/failure.ts";
import { cancel } from "./exchange.ts";
import type { GuestBytes } from "./guest-bytes.ts";
import { type LaneOffer, LengthSplitter, slotAddress } from "./protocol/lane.ts";

/**
 * The bytes that a guest sends by a lane. A slot is read when somebody wants its bytes, and only then is the guest
 * told that it is empty: of a body that nobody reads no more is kept than one slot.
 */
export class LaneReader extends Readable {
  readonly #stream: ClientHttp2Stream;
  readonly #lane: LaneOffer;
  readonly #memory: GuestBytes;
  readonly #lengths: number[] = [];
  #slot = 0;
  #wanted = false;
  #streamEnded = false;

  constructor(stream: ClientHttp2Stream, lane: LaneOffer, memory: GuestBytes) {
    super({ highWaterMark: lane.slotBytes });
    this.#stream = stream;
    this.#lane = lane;
    this.#memory = memory;
    const splitter = new LengthSplitter();
    stream.on("data", (bytes: Buffer) => {
      this.#lengths.push(...splitter.push(bytes));
      const isWrong = (length: number) => length === 0 || length > lane.slotBytes;
      if (this.#lengths.length > lane.slots || this.#lengths.some(isWrong)) {
        this.destroy(new Failure("corrupt", "the guest does not keep to its lane"));
      } else this.#go();
    });
    stream.once("end", () => {
      this.#streamEnded = true;
      this.#go();
    });
    stream.once("error", (error) => this.destroy(error));
    stream.once("close", () => {
      if (!this.#isComplete) this.destroy(new Failure("unavailable", "the guest has cut its answer short"));
    });
  }

  override _read(): void {
    this.#wanted = true;
    this.#go();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#isComplete) cancel(this.#stream);
    done(error);
  }

  get #isComplete(): boolean {
    return this.#streamEnded && this.#lengths.length === 0;
  }

  #go(): void {
    if (this.destroyed) return;
    const length = this.#wanted ? this.#lengths.shift() : undefined;
    if (length !== undefined) {
      const bytes = Buffer.allocUnsafe(length);
      try {
        this.#memory.readNow(slotAddress(this.#lane, this.#slot), bytes);
      } catch (error) {
        this.destroy(Failure.from(error));
        return;
      }
      this.#slot = (this.#slot + 1) % this.#lane.slots;
      this.#wanted = false;
      if (!this.#isComplete) this.#stream.write(Buffer.of(1));
      this.push(bytes);
    }
    if (!this.#isComplete) return;
    this.#stream.end();
    this.push(null);
  }
}
