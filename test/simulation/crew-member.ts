import { parentPort, workerData } from "node:worker_threads";
import "./small-chunks.ts";
import type { Orders, Report } from "./crew.ts";
const { makeLibrary } = await import("./library.ts");
const { runWorld, shrink } = await import("./shrink.ts");
const { shapeOf } = await import("./world-shape.ts");

/** One thread of a crew: takes the next seed that nobody has taken, until there is none, and reports what failed. */
const orders = workerData as Orders;
const taken = new Int32Array(orders.taken);
const current = new Int32Array(orders.current);
const library = await makeLibrary();
// Nobody reads where a failure came from: a world that fails is replayed.
Error.stackTraceLimit = 0;
for (let done = 0, turn = take(); turn < orders.count; turn = take()) {
  const seed = orders.first + turn;
  Atomics.store(current, orders.number, turn);
  const { failure } = await runWorld(library, seed, shapeOf(seed));
  done += 1;
  if (failure === undefined && done === orders.worldsMax) break;
  if (failure === undefined) continue;
  if (orders.untilFailure) Atomics.store(taken, 0, orders.count);
  report({ seed, failure: firstLine(failure), shape: undefined });
  if (!orders.untilFailure)
    report({ seed, failure: undefined, shape: await shrink(library, seed, shapeOf(seed)) });
}
Atomics.store(current, orders.number, -1);

function take(): number {
  return Atomics.add(taken, 0, 1);
}

function report(each: Report): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(each);
}

function firstLine(failure: unknown): string {
  return String(failure).split("\n")[0] ?? "";
}
