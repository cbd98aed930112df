import http from "node:http";
import type { Duplex } from "node:stream";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { PeerWire } from "../../src/peers/peer-wire.ts";
import type { SimulatedTime } from "./simulated-clock.ts";
import { Pipe } from "./simulated-pipe.ts";

/** A process that has a place on the network. */
export interface Host {
  readonly name: string;
  readonly isDead: boolean;
}

/** What goes wrong with bytes on their way. */
export interface NetworkWeather {
  /** Probability that something happens to a piece of a stream. */
  faultRate: number;
}

interface Listener {
  readonly server: http.Server;
  readonly host: Host;
}

/**
 * A network between nodes: bytes take their time, are cut off, stall, come changed, in another order or in part, and
 * do not get through between nodes that are parted. HTTP runs over it as it is; TLS does not, so that what it would
 * notice is left to the promises.
 */
export class SimulatedNetwork {
  readonly time: SimulatedTime;
  readonly random: SeededRandom;
  readonly weather: NetworkWeather = { faultRate: 0 };
  readonly #listeners = new Map<number, Listener>();
  readonly #parted = new Set<string>();
  readonly #pipes = new Set<Pipe>();

  constructor(time: SimulatedTime, random: SeededRandom) {
    this.time = time;
    this.random = random;
  }

  part(one: string, other: string): void {
    this.#parted.add(pairOf(one, other));
  }

  heal(): void {
    this.#parted.clear();
  }

  reaches(one: Host, other: Host): boolean {
    return !one.isDead && !other.isDead && !this.#parted.has(pairOf(one.name, other.name));
  }

  /** The process of a host is gone: others hear of that, unless the machine has gone with it. */
  died(host: Host, power: boolean): void {
    for (const [port, listener] of this.#listeners) {
      if (listener.host !== host) continue;
      this.#listeners.delete(port);
      // Its own interval holds it, and all that it knows; nobody is told.
      listener.server.removeAllListeners().close();
    }
    for (const pipe of this.#pipes) if (pipe.isOf(host)) pipe.lose(power);
  }

  /** The world is over: what hangs is let go. */
  end(): void {
    for (const { server } of this.#listeners.values()) server.removeAllListeners().close();
    for (const pipe of this.#pipes) pipe.end();
  }

  /** How the process of one host speaks with others. */
  wireOf(host: Host): PeerWire {
    return {
      agent: (_secret, settings) => {
        const agent = new http.Agent(settings);
        const connect = ({ port }: { readonly port: number }) => this.#connect(host, port);
        return Object.assign(agent, { createConnection: connect });
      },
      request: (options) => http.request(options),
      server: (_secret, settings, take) => {
        const server = http.createServer(settings, (request, response) => {
          response.sendDate = false; // the real one: a bit of it that is flipped would be another one each time
          take(request, response);
        });
        return this.#serverOf(host, server);
      },
    };
  }

  #serverOf(host: Host, server: http.Server): http.Server {
    let own = 0;
    const connections = new Set<Duplex>();
    server.on("connection", (connection) => connections.add(connection));
    return Object.assign(server, {
      // HTTP's own go through them by the addresses of objects in memory, which differ from run to run.
      closeIdleConnections: () => {},
      closeAllConnections: () => {
        for (const each of connections) each.destroy();
      },
      listen: ({ port }: { readonly port: number }) => {
        own = port;
        this.#listeners.set(port, { server, host });
        queueMicrotask(() => server.emit("listening"));
        server.once("close", () => {
          if (this.#listeners.get(port)?.server === server) this.#listeners.delete(port);
        });
        return server;
      },
      address: () => ({ port: own }),
    });
  }

  #connect(from: Host, port: number): Duplex {
    const listener = this.#listeners.get(port);
    const to = listener?.host ?? { name: `nobody at ${port}`, isDead: true };
    const pipe = new Pipe(this, from, to, () => this.#pipes.delete(pipe));
    this.#pipes.add(pipe);
    const ms = 1 + this.random.below(5);
    this.time.after(ms, () => {
      if (!this.#parted.has(pairOf(from.name, to.name)) && !from.isDead) {
        if (listener !== undefined && this.#listeners.get(port) === listener && !to.isDead)
          listener.server.emit("connection", pipe.far);
        else pipe.refuse();
      }
    });
    return pipe.near;
  }
}

function pairOf(one: string, other: string): string {
  return [one, other].sort().join(" and ");
}
