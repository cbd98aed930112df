// The part of `bench/nbd.ts` that asks: an NBD client that keeps so many reads in flight, at random offsets of a
// seeded sequence. It talks to the kernel directly, so that it is not what is measured. Each line of its standard
// input is a `LoadCase`; each line of its output is the `LoadResult`.
import { createInterface } from "node:readline";
import { SeededRandom } from "../src/base/testing/seeded-random.ts";
import { LoadConnection } from "./nbd-load-connection.ts";
import { waitForAny } from "./raw-socket.ts";

export interface LoadCase {
  readonly socket: string;
  readonly deviceBytes: number;
  readonly requestBytes: number;
  readonly depth: number;
  readonly connections: number;
  readonly ms: number;
}

export interface LoadResult {
  readonly perSecond: number;
  /** Of the time, how much this process was busy: at 1 the client is the bottleneck. */
  readonly busy: number;
}

const warmUpMs = 50;

function run(load: LoadCase): LoadResult {
  const random = new SeededRandom(1);
  const connections = Array.from({ length: load.connections }, () => new LoadConnection(load, random));
  const descriptors = connections.map(({ socket }) => socket.descriptor);
  const turn = () => {
    if (connections.length === 1) return connections[0]?.turn();
    for (const index of waitForAny(descriptors)) connections[index]?.turn();
  };
  for (const connection of connections) connection.ask();
  const until = (ms: number) => {
    for (const end = performance.now() + ms; performance.now() < end; ) for (let i = 0; i < 8; i++) turn();
  };
  until(warmUpMs);
  const answered = () => connections.reduce((sum, connection) => sum + connection.answered, 0);
  const [before, cpu, began] = [answered(), process.cpuUsage(), performance.now()];
  until(load.ms);
  const tookMs = performance.now() - began;
  const count = answered() - before;
  const { user, system } = process.cpuUsage(cpu);
  for (const connection of connections) connection.end();
  return {
    perSecond: Math.round((1000 * count) / tookMs),
    busy: Number(((user + system) / 1000 / tookMs).toFixed(2)),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(run(JSON.parse(line) as LoadCase)));
}
