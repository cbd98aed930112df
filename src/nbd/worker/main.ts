// A data-plane worker: serves NBD clients from images that lie open to it. Started by NbdThread.
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../base/clock.ts";
import { ExportDesk } from "./export-desk.ts";
import type { FromWorker, ToWorker, WorkerStart } from "./messages.ts";
import { CountingMeter } from "./shared-counts.ts";
import { workerLogger } from "./worker-logger.ts";

const { adopted, counts } = workerData as WorkerStart;
const post = (message: FromWorker) => parentPort?.postMessage(message, []);
const desk = new ExportDesk({
  post,
  adopted,
  clock: systemClock,
  logger: workerLogger(post),
  meter: new CountingMeter(counts),
});
parentPort?.on("message", (message: ToWorker) => desk.take(message));
