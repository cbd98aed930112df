import type { Clock } from "../../src/base/clock.ts";
import type { ChunkRequest, ChunkSource } from "../../src/build/chunk-source.ts";

/** What is known of the node whose requests are looked at. */
export interface Watched {
  /** Somebody there leases the build just now, peers apart. */
  isUsed(build: string): boolean;
  readonly clock: Pick<Clock, "now">;
}

/** Looks at every request to the bucket, and notes what was not as promised. */
export class Watch {
  /** What was not as promised. */
  readonly violations: unknown[] = [];
  /** Chunks read from the bucket, as often as they were, by all nodes. */
  readonly reads = new Map<string, number>();
  readonly #meetings: Meeting[] = [];

  violate(sentence: string): void {
    this.violations.push(new Error(sentence));
  }

  /** Two flights for a chunk: it is known later whether the first one had it at this very moment. */
  meet(meeting: Meeting): void {
    this.#meetings.push(meeting);
  }

  /** What can be said only afterwards. */
  settle(): void {
    for (const { name, first, at } of this.#meetings.splice(0))
      if ((first.landedAt.get(name) ?? Infinity) > at)
        this.violate(`C1, C4: ${name} is fetched by two flights at once`);
  }
}

interface Flight {
  /** -Infinity: it goes on. */
  abortedAt: number;
  /** When each of its chunks was taken, or it ended without. */
  readonly landedAt: Map<string, number>;
}

interface Meeting {
  readonly name: string;
  readonly first: Flight;
  readonly at: number;
}

/** How long a newcomer waits for a flight that was called off. */
const dyingMsMax = 100;
/** How often one flight asks. */
const attemptsMax = 5;
/** A manifest that was missing is asked for again after 5 s. */
const askedAgainMsMin = 4_900;

/** The requests of one process. */
export class RequestWatch {
  readonly #watch: Watch;
  readonly #watched: Watched;
  /** Flights by the chunks that they bring. */
  readonly #underWay = new Map<string, Set<Flight>>();
  /** How often the bucket was asked for a chunk since somebody fetches it, and by how many flights. */
  readonly #attempts = new Map<string, { asked: number; flights: number }>();
  /** When each was found to be missing. */
  readonly #missing = new Map<string, number>();
  readonly #landedAt = new Map<string, number>();
  /** How many peers wait for something of a build. */
  readonly #waitingPeers = new Map<string, number>();
  /** Chunks that were asked for. */
  readonly asked: string[] = [];

  constructor(watch: Watch, watched: Watched) {
    this.#watch = watch;
    this.#watched = watched;
  }

  /** C2, C7: that a build is missing is remembered for some time. */
  missing(build: string, now: number): void {
    const before = this.#missing.get(build) ?? -Infinity;
    if (now - before < askedAgainMsMin)
      this.#watch.violate(`C7: ${build} is missing, and asked for again after ${now - before} ms`);
    this.#missing.set(build, now);
  }

  /** Somebody has said that what was missing may be there by now. */
  forget(): void {
    this.#missing.clear();
  }

  /** The bucket is asked for this. */
  asks(request: ChunkRequest): void {
    for (const name of namesOf(request)) {
      const attempts = this.#attempts.get(name) ?? { asked: 0, flights: 1 };
      this.#attempts.set(name, attempts);
      attempts.asked += 1;
      if (attempts.asked > attemptsMax * attempts.flights)
        this.#watch.violate(`C7: a flight has asked ${attempts.asked} times for ${name}`);
      this.asked.push(name);
      this.#watch.reads.set(name, (this.#watch.reads.get(name) ?? 0) + 1);
    }
  }

  /** C23: a peer wants something of a build that is not on the shelf. */
  async forPeer<T>(build: string, wait: () => Promise<T>): Promise<T> {
    if (!this.#watched.isUsed(build))
      this.#watch.violate(`C23: a fetch of ${build} for a peer, that nobody leases here`);
    this.#waitingPeers.set(build, (this.#waitingPeers.get(build) ?? 0) + 1);
    try {
      return await wait();
    } finally {
      this.#waitingPeers.set(build, (this.#waitingPeers.get(build) ?? 0) - 1);
    }
  }

  /** When a chunk was last taken from the flight that brought it. */
  landedAt(build: string, artifact: string, chunk: number): number {
    return this.#landedAt.get(`${build}/${artifact}/${chunk}`) ?? -Infinity;
  }

  /** What the cache asks for; a flight of its asks once. */
  flights(source: ChunkSource): ChunkSource {
    const begin = (request: ChunkRequest, signal: AbortSignal) => this.#begin(request, signal);
    return {
      name: source.name,
      async *read(request, signal) {
        using flight = begin(request, signal);
        for await (const chunk of source.read(request, signal)) {
          yield chunk;
          flight.landed(chunk.index);
        }
      },
    };
  }

  #begin(request: ChunkRequest, signal: AbortSignal): Disposable & { landed(chunk: number): void } {
    signal.throwIfAborted();
    const { build, artifact } = request;
    // A flight that was begun while somebody used the build goes on as long as a peer waits for it.
    if (!this.#watched.isUsed(build) && (this.#waitingPeers.get(build) ?? 0) === 0)
      this.#watch.violate(`C23: a fetch of ${artifact} of ${build} that nobody leases`);
    const names = namesOf(request);
    const { clock } = this.#watched;
    const now = clock.now();
    const flight: Flight = { abortedAt: -Infinity, landedAt: new Map() };
    const land = (name: string) => {
      if (this.#underWay.get(name)?.delete(flight)) flight.landedAt.set(name, clock.now());
    };
    const onAbort = () => void (flight.abortedAt = clock.now());
    signal.addEventListener("abort", onAbort, { once: true });
    for (const name of names) {
      const flights = this.#underWay.get(name) ?? new Set();
      this.#underWay.set(name, flights);
      // One that was called off may take its time to come down (C4); whoever comes later waits as long.
      const others = [...flights].filter(
        ({ abortedAt }) => abortedAt === -Infinity || (now > abortedAt && now < abortedAt + dyingMsMax),
      );
      for (const first of others) this.#watch.meet({ name, first, at: now });
      const before = flights.size === 0 ? undefined : this.#attempts.get(name);
      this.#attempts.set(name, { asked: before?.asked ?? 0, flights: (before?.flights ?? 0) + 1 });
      flights.add(flight);
    }
    return {
      // Whoever wants it from here on finds it kept; or, where there was no room, has to ask for it anew.
      landed: (chunk) => {
        land(nameOf(request, chunk));
        this.#landedAt.set(nameOf(request, chunk), clock.now());
      },
      [Symbol.dispose]: () => {
        signal.removeEventListener("abort", onAbort);
        for (const name of names) land(name);
      },
    };
  }
}

function namesOf(request: ChunkRequest): string[] {
  return Array.from({ length: request.count }, (_, i) => nameOf(request, request.firstChunk + i));
}

function nameOf({ build, artifact }: ChunkRequest, chunk: number): string {
  return `${build}/${artifact}/${chunk}`;
}
