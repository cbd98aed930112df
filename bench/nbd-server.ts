// The part of `bench/nbd.ts` that serves: one raw file, all of it present, from worker threads.
// Arguments: socket, file, threads. Says "ready" and ends with its standard input.
import { openSync, fstatSync } from "node:fs";
import { silentLogger as logger } from "../src/base/logger.ts";
import { MemoryMeter } from "../src/base/testing/memory-meter.ts";
import { NbdWorkers } from "../src/nbd/worker/nbd-workers.ts";
import { fileImage } from "../src/nbd/testing/file-image.ts";

const [socket = "", file = "", threads = "2"] = process.argv.slice(2);
const descriptor = openSync(file, "r");
const image = fileImage(descriptor, fstatSync(descriptor).size);
const device = {
  bytes: image.bytes,
  readNow: () => false,
  read: () => Promise.reject(new Error("everything is present")),
  extents: (_offset: number, bytes: number) => [{ bytes, zero: false }],
};
await using workers = new NbdWorkers({ threads: Number(threads), logger, meter: new MemoryMeter() });
await using _export = await workers.listen({ path: socket, device, image });
console.log("ready");
for await (const _ of process.stdin);
