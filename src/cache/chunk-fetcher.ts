import { hash } from "node:crypto";
import { abortable, ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import { chunkBytes, requestChunksMax } from "../build/artifact.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import { isZero } from "../build/is-zero.ts";
import type { CacheTools } from "./cache-tools.ts";
import { type ChunkFile, nameOf } from "./chunk-file.ts";
import type { Reservation, Room } from "./room.ts";

/** What a waiter gets: `undefined` when the chunk lies on the shelf, its bytes when there was no room to keep it. */
type Landed = Uint8Array | undefined;

/** One request under way: some neighbouring chunks, each with those who wait for it. */
interface ChunkFlight {
  /** The chunk that it set out for; the others travel along. */
  readonly asked: number;
  readonly first: number;
  readonly count: number;
  /** The chunk that comes next: when the flight fails, the one it failed at. */
  next: number;
  readonly controller: AbortController;
  readonly landings: Map<number, PromiseWithResolvers<Landed>>;
  readonly down: Promise<void>;
  waiters: number;
  /** It has given somebody a chunk: then the rest of the request is worth finishing. */
  served: boolean;
}

export interface ChunkFetcherOptions {
  readonly file: ChunkFile;
  /** Verified: what it yields is what the index says. */
  readonly source: ChunkSource;
  readonly room: Room;
  readonly tools: CacheTools;
}

/** Brings chunks of one artifact to the shelf, each once however many ask (C1). */
export class ChunkFetcher {
  readonly #file: ChunkFile;
  readonly #source: ChunkSource;
  readonly #room: Room;
  readonly #tools: CacheTools;
  readonly #object: string;
  readonly #flights = new Map<number, ChunkFlight>();
  readonly #checks = new Map<number, Promise<void>>();

  constructor({ file, source, room, tools }: ChunkFetcherOptions) {
    this.#file = file;
    this.#source = source;
    this.#room = room;
    this.#tools = tools;
    this.#object = `${file.index.build}/${file.index.artifact}.pack`;
  }

  get underWay(): number {
    return new Set(this.#flights.values()).size;
  }

  /** Resolves when `chunk` is at hand, or with its bytes when there is no room to keep it. */
  async want(chunk: number, signal: AbortSignal): Promise<Landed> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#file.isAtHand(chunk)) return undefined;
      if (this.#file.isSuspect(chunk)) {
        await abortable(this.#check(chunk), signal);
        continue;
      }
      const flight = this.#flights.get(chunk) ?? this.#depart(chunk);
      if (flight.controller.signal.aborted) {
        await abortable(flight.down, signal);
        continue;
      }
      const landed = await this.#board(flight, chunk, signal);
      // Neither bytes nor a bit: a bad neighbour ended the flight, which is no failure of this chunk.
      if (landed !== undefined || this.#file.isAtHand(chunk)) return landed;
    }
  }

  /** Ends all flights and resolves when they are down: none writes any more. */
  async close(reason: Failure): Promise<void> {
    const flights = new Set(this.#flights.values());
    for (const { controller } of flights) controller.abort(reason);
    await Promise.all([...flights].map(({ down }) => down));
    await Promise.allSettled(this.#checks.values());
  }

  async #board(flight: ChunkFlight, chunk: number, signal: AbortSignal): Promise<Landed> {
    const landing = flight.landings.get(chunk);
    if (landing === undefined) throw new Failure("internal", `chunk ${chunk} is not in its flight`);
    flight.waiters += 1;
    try {
      const landed = await abortable(landing.promise, signal);
      flight.served = true;
      return landed;
    } finally {
      flight.waiters -= 1;
      if (flight.waiters === 0 && !flight.served) {
        flight.controller.abort(new Failure("cancelled", "nobody waits any more"));
      }
    }
  }

  /** A request for `chunk` and its neighbours in the same 4 MiB that are neither at hand nor under way. */
  #depart(chunk: number): ChunkFlight {
    const wanted = (index: number) =>
      !this.#file.isAtHand(index) &&
      !this.#file.isSuspect(index) &&
      !this.#flights.has(index) &&
      !this.#tools.backoffs.isActive(this.#nameOf(index));
    const group = Math.floor(chunk / requestChunksMax) * requestChunksMax;
    const end = Math.min(group + requestChunksMax, this.#file.index.chunkCount);
    let first = chunk;
    while (first > group && wanted(first - 1)) first -= 1;
    let last = chunk;
    while (last + 1 < end && wanted(last + 1)) last += 1;
    const count = last - first + 1;
    const controller = new AbortController();
    const landings = new Map<number, PromiseWithResolvers<Landed>>();
    for (let index = first; index <= last; index++) {
      const landing = Promise.withResolvers<Landed>();
      landing.promise.catch(ignore);
      landings.set(index, landing);
    }
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
      served: false,
    };
    for (const index of landings.keys()) this.#flights.set(index, flight);
    void this.#fly(flight).then(down.resolve);
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
      const message = `chunks ${first} to ${first + count - 1} of ${nameOf(this.#file.index)} could not be had`;
      const told = new Failure(failure.code, message, { cause: failure });
      for (const landing of flight.landings.values()) landing.reject(told);
    }
    this.#forget(flight);
  }

  async #receive(flight: ChunkFlight, signal: AbortSignal): Promise<void> {
    const { build, artifact } = this.#file.index;
    const { first: firstChunk, count } = flight;
    using room = await this.#room.tryReserve(count * chunkBytes);
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
        this.#flights.delete(next);
        flight.landings.get(next)?.resolve(landed);
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
        await this.#file.write(chunk, bytes, signal);
        room.keep(bytes.length);
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        this.#tools.diskTrouble(Failure.from(error));
      }
    }
    this.#tools.meter.count("larder_cache_passed_through_total");
    return Uint8Array.from(bytes);
  }

  /** Reads a suspect chunk and settles what it is; shared by all who want it. */
  #check(chunk: number): Promise<void> {
    const known = this.#checks.get(chunk);
    if (known !== undefined) return known;
    const check = this.#verify(chunk).finally(() => this.#checks.delete(chunk));
    check.catch(ignore);
    this.#checks.set(chunk, check);
    return check;
  }

  async #verify(chunk: number): Promise<void> {
    const place = this.#file.index.chunk(chunk);
    const bytes = Buffer.allocUnsafe(place.bytes);
    let good = false;
    try {
      this.#file.readNow(chunk * chunkBytes, bytes);
      good = place.zero ? isZero(bytes) : hash("sha256", bytes, "buffer").equals(place.digest);
    } catch (error) {
      this.#tools.diskTrouble(Failure.from(error));
    }
    this.#tools.meter.count("larder_cache_verified_after_restart_total", {
      outcome: good ? "good" : "damaged",
    });
    if (!good) this.#tools.meter.count("larder_corrupt_chunks_total", { source: "shelf" });
    this.#room.adjust(-(await this.#file.settleSuspect(chunk, good)));
  }

  /** A bad chunk fails alone: those who wait for its neighbours set out again at once (C5, C7). */
  #askAgain(flight: ChunkFlight): void {
    this.#forget(flight);
    for (const [chunk, landing] of flight.landings) if (chunk !== flight.next) landing.resolve(undefined);
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
