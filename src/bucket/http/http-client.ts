import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import { Gate } from "../../base/gate.ts";
import { SlabPool } from "../../base/slab-pool.ts";
import { Connection } from "./connection.ts";
import type { HttpLimits, HttpRequest } from "./http-message.ts";
import { HttpResponse } from "./http-response.ts";
import type { Origin } from "./origin.ts";

export interface HttpClientOptions {
  readonly origin: Origin;
  readonly clock: Clock;
  readonly limits: HttpLimits;
  readonly connectionsMax: number;
  /** Requests that may wait for a connection; the next one fails with `exhausted`. */
  readonly waitersMax: number;
  /** A connection that nobody used for so long is closed. */
  readonly idleMsMax: number;
}

/** Bodies are read into memory of so many bytes at a time, of which at most so many wait to be used again: 4 MiB. */
const slabBytes = 128 * 1024;
const idleSlabsMax = 32;

/**
 * HTTP/1.1 to one server, over connections that are kept and used again, the one used last first. It follows no
 * redirect, keeps no cookie, and decides nothing about an answer: a status of 500 is an answer, too.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #gate: Gate;
  readonly #slabs = new SlabPool({ slabBytes, idleMax: idleSlabsMax });
  readonly #all = new Set<Connection>();
  readonly #idle: { readonly connection: Connection; readonly timer: Disposable }[] = [];
  #closed: Failure | undefined;
  #session: Buffer | undefined;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    const { connectionsMax: capacity, waitersMax, origin } = options;
    this.#gate = new Gate({ capacity, waitersMax, name: `connections to ${origin.host}` });
  }

  /** Resolves with the head of the answer; its body must be read to the end or disposed of. */
  async request(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const pass = await this.#gate.enter(signal);
    try {
      const { connection, exchange } = await this.#exchange(request, signal);
      return new HttpResponse(connection, exchange, pass, signal);
    } catch (error) {
      pass[Symbol.dispose]();
      throw error;
    }
  }

  /** Aborts what is under way and waits until every connection is closed. */
  async close(): Promise<void> {
    const reason = (this.#closed ??= new Failure("unavailable", "the bucket is closed"));
    const all = [...this.#all];
    for (const connection of all) connection.destroy(reason);
    await Promise.all(all.map(({ closed }) => closed));
  }

  /** A kept connection may be closed by the server at any moment: then the request goes out again, on a new one. */
  async #exchange(request: HttpRequest, signal: AbortSignal) {
    const kept = this.#takeIdle();
    if (kept !== undefined) {
      const exchange = await kept.exchange(request, signal).catch((error: unknown) => {
        if (signal.aborted || !kept.brokeBeforeAnswer) throw error;
      });
      if (exchange !== undefined) return { connection: kept, exchange };
    }
    const connection = await this.#open(signal);
    return { connection, exchange: await connection.exchange(request, signal) };
  }

  #takeIdle(): Connection | undefined {
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      last.timer[Symbol.dispose]();
      if (last.connection.isOpen) return last.connection;
    }
    return undefined;
  }

  async #open(signal: AbortSignal): Promise<Connection> {
    const { clock, limits, origin } = this.#options;
    const options = {
      ...{ origin, limits, clock, session: this.#session },
      onSession: (session: Buffer) => void (this.#session = session),
      onIdle: (connection: Connection) => this.#keep(connection),
      slabs: this.#slabs,
      onClose: (connection: Connection) => this.#forget(connection),
    };
    if (this.#closed !== undefined) throw this.#closed;
    const connection = new Connection(options);
    this.#all.add(connection);
    await connection.ready(signal);
    return connection;
  }

  #keep(connection: Connection): void {
    const { clock, idleMsMax } = this.#options;
    const unused = new Failure("unavailable", "the connection was not used");
    this.#idle.push({ connection, timer: clock.after(idleMsMax, () => connection.destroy(unused)) });
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    const place = this.#idle.findIndex((each) => each.connection === connection);
    if (place >= 0) this.#idle.splice(place, 1)[0]?.timer[Symbol.dispose]();
  }
}
