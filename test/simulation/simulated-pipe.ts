import { Duplex } from "node:stream";
import type { Host, SimulatedNetwork } from "./simulated-network.ts";

/** A stream of bytes between two hosts, with an end on each. */
export class Pipe {
  readonly near: End;
  readonly far: End;
  readonly #onGone: () => void;

  constructor(network: SimulatedNetwork, from: Host, to: Host, onGone: () => void) {
    this.#onGone = onGone;
    const ended = () => {
      if (this.near.destroyed && this.far.destroyed) this.#onGone();
    };
    this.near = new End(network, from, to, ended);
    this.far = new End(network, to, from, ended);
    this.near.other = this.far;
    this.far.other = this.near;
  }

  isOf(host: Host): boolean {
    return this.near.host === host || this.far.host === host;
  }

  /** Nobody listens there. */
  refuse(): void {
    this.near.destroy(errorOf("ECONNREFUSED"));
    this.far.destroy();
  }

  end(): void {
    this.near.destroy();
    this.far.destroy();
  }

  /** One of the hosts is dead; with its power gone, nobody hears of it. */
  lose(power: boolean): void {
    this.near.isLost ||= power;
    this.far.isLost ||= power;
    if (power) return;
    for (const end of [this.near, this.far]) if (!end.host.isDead) end.breakOff();
  }
}

/** What may become of a piece on its way, apart from being late. */
const faults = ["cut", "cut", "stall", "flip", "half", "swap"] as const;

/** One end. What is written here is read at the other one, later. */
class End extends Duplex {
  readonly host: Host;
  other!: End;
  /** Nothing gets through any more, and nobody says so. */
  isLost = false;
  readonly #network: SimulatedNetwork;
  readonly #peer: Host;
  readonly #onEnd: () => void;
  /** When the last piece arrives: a stream keeps its order. */
  #arrivesAt = 0;
  #held: Buffer | undefined;

  constructor(network: SimulatedNetwork, host: Host, peer: Host, onEnd: () => void) {
    super({ allowHalfOpen: true });
    this.#network = network;
    this.host = host;
    this.#peer = peer;
    this.#onEnd = onEnd;
    this.on("error", () => {});
  }

  // What HTTP asks of a socket, and a stream does not have.
  setKeepAlive = () => this;
  setNoDelay = () => this;
  setTimeout = () => this;
  ref = () => this;
  unref = () => this;

  override _read(): void {}

  override _write(piece: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const fault = this.#fault();
    const { random, time } = this.#network;
    const pieces: Buffer[] = [];
    if (fault === "stall" && random.below(2) === 0) this.isLost = true;
    else if (fault === "stall") this.#arrivesAt = time.now + random.below(20_000);
    if (fault === "half") pieces.push(Buffer.from(piece.subarray(0, piece.length >> 1)));
    else if (fault === "swap") this.#held = Buffer.from(piece);
    else if (fault !== "cut") {
      const bytes = Buffer.from(piece);
      if (fault === "flip") flip(bytes, random.below(bytes.length * 8));
      pieces.push(bytes);
      if (this.#held !== undefined) pieces.push(this.#held);
      this.#held = undefined;
    }
    this.#later(() => {
      for (const each of pieces) this.#deliver(each);
      if (fault === "cut" || fault === "half") this.#cut();
      done();
    });
  }

  override _final(done: (error?: Error) => void): void {
    this.#later(() => {
      if (!this.other.destroyed && this.#getsThrough()) this.other.push(null);
      done();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#later(() => {
      if (this.#getsThrough()) this.other.breakOff();
    });
    done(error);
    this.#onEnd();
  }

  /** The other end is gone. */
  breakOff(): void {
    if (!this.destroyed) this.destroy(errorOf("ECONNRESET"));
  }

  #cut(): void {
    this.breakOff();
    this.other.breakOff();
  }

  #deliver(bytes: Buffer): void {
    if (!this.other.destroyed && this.#getsThrough()) this.other.push(bytes);
  }

  #getsThrough(): boolean {
    return !this.isLost && this.#network.reaches(this.host, this.#peer);
  }

  #fault(): (typeof faults)[number] | undefined {
    const { random, weather } = this.#network;
    if (weather.faultRate === 0 || random.fraction() >= weather.faultRate) return undefined;
    return faults[random.below(faults.length)];
  }

  #later(work: () => void): void {
    const { time, random } = this.#network;
    this.#arrivesAt = Math.max(this.#arrivesAt, time.now + random.below(4));
    time.after(this.#arrivesAt - time.now, work);
  }
}

function flip(bytes: Buffer, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}

function errorOf(code: string): Error {
  return Object.assign(new Error(`${code}: the network`), { code });
}
