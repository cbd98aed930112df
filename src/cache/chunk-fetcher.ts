import { abortable, ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import { chunkBytes, requestChunksMax } from "../build/artifact.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import type { CacheTools } from "./cache-tools.ts";
import { ChunkChecker } from "./chunk-checker.ts";
import type { ChunkFile } from "./chunk-file.ts";
import { comeDown } from "./come-down.ts";
import { Flights } from "./flights.ts";
import { abortableIterable } from "./receive.ts";
import { Landing } from "./landing.ts";
import type { Reservation, Room } from "./room.ts";

/** What a waiter gets: `undefined` when the chunk lies on the shelf, its bytes when there was no room to keep it. */
type Landed = Uint8Array | undefined;
/** What a landing resolves to: "again" when a bad neighbour ended the flight, which is no failure of this chunk. */
type Outcome = Landed | "again";

/** One request under way: some neighbouring chunks, each with those who wait for it. */
interface ChunkFlight {
  /** The chunk that it set out for; the others travel along. */
  readonly asked: number;
  readonly first: number;
  readonly count: number;
  /** The chunk that comes next: when the flight fails, the one it failed at. */
  next: number;
  readonly controller: AbortController;
  readonly landings: Map<number, Landing<Outcome>>;
  readonly down: Promise<void>;
  waiters: number;
  /** Room that somebody has reserved for it already. */
  readonly reserved: Reservation | undefined;
  /** It has given somebody a chunk: then the rest of the request is worth finishing. */
  served: boolean;
  readonly onLeft: () => void;
}

/** How a chunk is wanted. */
export interface Wish {
  /** Room that the caller has for it; it must stay reserved until the chunk has landed. */
  readonly reserved?: Reservation;
  /** How many neighbours, itself included, may travel in one request: 4 MiB of them unless said. */
  readonly groupChunks?: number;
}

export interface ChunkFetcherOptions {
  readonly file: ChunkFile;
  /** Verified: what it yields is what the index says. */
  readonly source: ChunkSource;
  readonly room: Pick<Room, "tryReserve">;
  readonly tools: CacheTools;
}

/** Brings chunks of one artifact to the shelf, each once however many ask (C1). */
export class ChunkFetcher {
  /** Compares what is kept with the index. */
  readonly checker: ChunkChecker;
  readonly #file: ChunkFile;
  readonly #source: ChunkSource;
  readonly #room: ChunkFetcherOptions["room"];
  readonly #tools: CacheTools;
  readonly #object: string;
  readonly #flights = new Map<number, ChunkFlight>();
  /** Those that hang in their dying included. */
  readonly #all = new Set<ChunkFlight>();
  /** Chunks that are being read past the shelf. */
  readonly #past: Flights<Uint8Array>;

  constructor({ file, source, room, tools }: ChunkFetcherOptions) {
    this.#past = new Flights(tools.clock, () => tools.joined("chunk"));
    this.checker = new ChunkChecker(file, tools);
    this.#file = file;
    this.#source = source;
    this.#room = room;
    this.#tools = tools;
    this.#object = `${file.index.build}/${file.index.artifact}.pack`;
  }

  get underWay(): number {
    return this.#all.size;
  }

  /** Resolves when `chunk` is at hand, or with its bytes when there is no room to keep it. */
  want(chunk: number, signal: AbortSignal, wish: Wish = {}): Promise<Landed> {
    const flight = this.#flights.get(chunk);
    // Those who join are many: nothing is made for them that they can do without.
    if (flight === undefined || flight.controller.signal.aborted || signal.aborted)
      return this.#bring(chunk, signal, wish);
    return this.#board(flight, chunk, signal).then((landed) =>
      landed === "again" ? this.#bring(chunk, signal, wish) : landed,
    );
  }

  async #bring(chunk: number, signal: AbortSignal, wish: Wish): Promise<Landed> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#file.isAtHand(chunk)) return undefined;
      if (this.#file.isSuspect(chunk)) {
        await this.checker.check(chunk, signal);
        continue;
      }
      if (this.#past.has(String(chunk))) return await this.#readPast(chunk, signal);
      const flight = this.#flights.get(chunk) ?? this.#depart(chunk, wish);
      if (flight.controller.signal.aborted) {
        await comeDown(flight.down, this.#tools.clock, signal);
        this.#forget(flight);
        continue;
      }
      const landed = await this.#board(flight, chunk, signal);
      if (landed !== "again") return landed;
    }
  }

  /** A chunk past a shelf that cannot be read, for those who need it now: by the flight that brings it, or another. */
  async passThrough(chunk: number, signal: AbortSignal): Promise<Uint8Array> {
    const flight = this.#flights.get(chunk);
    if (flight !== undefined) {
      const landed = await this.want(chunk, signal);
      if (landed !== undefined) return landed;
    }
    return await this.#readPast(chunk, signal);
  }

  /** Ends all flights and resolves when they are down: none writes any more. */
  async close(reason: Failure): Promise<void> {
    const flights = [...this.#all];
    for (const { controller } of flights) controller.abort(reason);
    await Promise.all([...flights.map(({ down }) => down), this.#past.abortAll(reason)]);
    await this.checker.settled();
  }

  #readPast(chunk: number, signal: AbortSignal): Promise<Uint8Array> {
    const { build, artifact } = this.#file.index;
    const request = { build, artifact, firstChunk: chunk, count: 1 };
    const read = async (own: AbortSignal) => {
      this.#tools.meter.count("larder_cache_passed_through_total");
      let found: Uint8Array | undefined;
      for await (const { bytes } of abortableIterable(this.#source.read(request, own), own))
        found = Uint8Array.from(bytes);
      if (found === undefined) throw new Failure("corrupt", `the source gave no chunk ${chunk}`);
      return found;
    };
    return this.#past.join(String(chunk), read, signal);
  }

  #board(flight: ChunkFlight, chunk: number, signal: AbortSignal): Promise<Outcome> {
    const landing = flight.landings.get(chunk);
    if (landing === undefined) throw new Failure("internal", `chunk ${chunk} is not in its flight`);
    if (flight.waiters > 0) this.#tools.joined("chunk");
    flight.waiters += 1;
    return landing.wait(signal, flight.onLeft);
  }

  /** One of those who waited for a flight has left. */
  #left(flight: ChunkFlight): void {
    flight.waiters -= 1;
    if (flight.waiters > 0 || flight.served) return;
    flight.controller.abort(new Failure("cancelled", "nobody waits any more"));
  }

  #land(flight: ChunkFlight, chunk: number, outcome: Outcome): void {
    const landing = flight.landings.get(chunk);
    if (landing === undefined || landing.waiters === 0) return;
    flight.served = true;
    flight.waiters -= landing.waiters;
    landing.land(outcome);
  }

  /** A request for `chunk` and its neighbours in the same group that are neither at hand nor under way. */
  #depart(chunk: number, { reserved, groupChunks = requestChunksMax }: Wish): ChunkFlight {
    const wanted = (index: number) =>
      !this.#file.isAtHand(index) &&
      !this.#file.isSuspect(index) &&
      !this.#flights.has(index) &&
      !this.#past.has(String(index)) &&
      !this.#tools.backoffs.isActive(this.#nameOf(index));
    const group = Math.floor(chunk / groupChunks) * groupChunks;
    const end = Math.min(group + groupChunks, this.#file.index.chunkCount);
    let first = chunk;
    while (first > group && wanted(first - 1)) first -= 1;
    let last = chunk;
    while (last + 1 < end && wanted(last + 1)) last += 1;
    const count = last - first + 1;
    const controller = new AbortController();
    const landings = new Map<number, Landing<Outcome>>();
    for (let index = first; index <= last; index++) landings.set(index, new Landing());
    const down = Promise.withResolvers<void>();
    const flight: ChunkFlight = {
      asked: chunk,
      first,
      count,
      next: first,
      controller,
      landings,
      down: down.promise,
      waiters: 0,
      reserved,
      served: false,
      onLeft: () => this.#left(flight),
    };
    for (const index of landings.keys()) this.#flights.set(index, flight);
    this.#all.add(flight);
    void this.#fly(flight).then(() => {
      this.#all.delete(flight);
      down.resolve();
    });
    return flight;
  }

  /** Never rejects: whoever waits is told by the landings. */
  async #fly(flight: ChunkFlight): Promise<void> {
    const { signal } = flight.controller;
    const started = this.#tools.clock.monotonic();
    try {
      await this.#tools.backoffs.wait(this.#object, signal);
      await this.#tools.backoffs.wait(this.#nameOf(flight.asked), signal);
      await this.#receive(flight, signal);
      this.#tools.backoffs.clear(this.#object);
    } catch (error) {
      const failure = Failure.from(signal.aborted ? signal.reason : error);
      if (!signal.aborted) {
        const bad = failure.code === "corrupt";
        this.#tools.backoffs.failed(bad ? this.#nameOf(flight.next) : this.#object, failure);
        if (bad) this.#askAgain(flight);
        this.#tools.reportFailure(this.#file.index, this.#object, failure, started);
      }
      this.#forget(flight);
      const { first, count } = flight;
      const { artifact, build } = this.#file.index;
      const what = `chunks ${first} to ${first + count - 1} of ${artifact} of build ${build}`;
      const told = new Failure(failure.code, `${what} could not be had`, { cause: failure });
      for (const landing of flight.landings.values()) landing.fail(told);
    }
    this.#forget(flight);
  }

  async #receive(flight: ChunkFlight, signal: AbortSignal): Promise<void> {
    const { build, artifact } = this.#file.index;
    const { first: firstChunk, count } = flight;
    const bytes = Math.min(count * chunkBytes, this.#file.index.storageBytes - firstChunk * chunkBytes);
    using room = flight.reserved?.part(bytes) ?? (await this.#room.tryReserve(bytes, signal));
    const chunks = this.#source.read({ build, artifact, firstChunk, count }, signal)[Symbol.asyncIterator]();
    try {
      for (let next = firstChunk; next < firstChunk + count; next++) {
        flight.next = next;
        const step = await abortable(chunks.next(), signal);
        if (step.done === true || step.value.index !== next) {
          throw new Failure("corrupt", `the source gave no chunk ${next}`);
        }
        const landed = await this.#keep(next, step.value.bytes, room, signal);
        this.#tools.backoffs.clear(this.#nameOf(next));
        if (this.#flights.get(next) === flight) this.#flights.delete(next);
        this.#land(flight, next, landed);
      }
    } finally {
      // Not waited for: a source that hangs must not hold up those who have left.
      void Promise.resolve(chunks.return?.()).catch(ignore);
    }
  }

  /** A disk that is full or failing degrades to passing through. */
  async #keep(
    chunk: number,
    bytes: Uint8Array,
    room: Reservation | undefined,
    signal: AbortSignal,
  ): Promise<Landed> {
    if (room !== undefined && !this.#file.sealed) {
      try {
        room.keep(await this.#file.write(chunk, bytes, signal));
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        // While the write of a dying flight hangs, nobody else may write the same chunk (C4).
        if (!Failure.is(error, "conflict")) this.#tools.diskTrouble(Failure.from(error));
      }
    }
    this.#tools.meter.count("larder_cache_passed_through_total");
    return Uint8Array.from(bytes);
  }

  /** A bad chunk fails alone: those who wait for its neighbours set out again at once (C5, C7). */
  #askAgain(flight: ChunkFlight): void {
    this.#forget(flight);
    for (const chunk of flight.landings.keys()) if (chunk !== flight.next) this.#land(flight, chunk, "again");
  }

  /** For pauses: a bad chunk must not slow the rest of its pack (C7). */
  #nameOf(chunk: number): string {
    return `${this.#object} chunk ${chunk}`;
  }

  #forget(flight: ChunkFlight): void {
    for (const index of flight.landings.keys()) {
      if (this.#flights.get(index) === flight) this.#flights.delete(index);
    }
  }
}
