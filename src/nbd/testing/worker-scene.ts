import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../base/clock.ts";
import type { SharedImage } from "../../base/shared-image.ts";
import { assertNothingLeft, takeCensus } from "../../base/testing/census.ts";
import { MemoryLogger } from "../../base/testing/memory-logger.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import type { FromWorker } from "../worker/messages.ts";
import { NbdWorkers } from "../worker/nbd-workers.ts";
import { WorkerExport } from "../worker/worker-export.ts";
import { ArrayDevice } from "./array-device.ts";
import { fileImage } from "./file-image.ts";
import { TestClient } from "./test-client.ts";

/** A disk of four chunks in a file, offered by real worker threads. */
export class WorkerScene {
  readonly device: ArrayDevice;
  readonly image: SharedImage;
  readonly logger = new MemoryLogger();
  readonly meter = new MemoryMeter();
  /** Every worker that was started, and all that they said. */
  readonly started: Worker[] = [];
  readonly said: FromWorker[] = [];
  readonly workers: NbdWorkers;
  readonly file: string;
  readonly #socket: string;

  private constructor(directory: string, descriptor: number, device: ArrayDevice, clock: Clock | undefined) {
    this.device = device;
    this.file = path.join(directory, "disk.raw");
    this.#socket = path.join(directory, "disk.sock");
    this.image = fileImage(descriptor, device.bytes);
    const { logger, meter } = this;
    this.workers = new NbdWorkers({
      ...{ threads: 1, logger, meter, ...(clock === undefined ? {} : { clock }) },
      spawn: (workerData) => {
        const worker = new Worker(new URL("../worker/main.ts", import.meta.url), { workerData });
        worker.on("message", (message: FromWorker) => this.said.push(message));
        this.started.push(worker);
        return worker;
      },
    });
  }

  /** Runs `test`; afterwards nothing may be left open. */
  static async run(test: (scene: WorkerScene) => Promise<void>, clock?: Clock): Promise<void> {
    const census = takeCensus();
    const directory = await mkdtemp(path.join(tmpdir(), "nbd-"));
    const file = path.join(directory, "disk.raw");
    const device = ArrayDevice.striped(1 << 20);
    writeFileSync(file, device.data);
    const descriptor = openSync(file, "r");
    const scene = new WorkerScene(directory, descriptor, device, clock);
    try {
      await test(scene);
      assert.equal(device.underWay, 0);
    } finally {
      await scene.workers.close();
      closeSync(descriptor);
      await rm(directory, { recursive: true });
    }
    await assertNothingLeft(census);
  }

  async listen(): Promise<WorkerExport> {
    const { device, image } = this;
    const made = await this.workers.listen({ path: this.#socket, device, image });
    assert.ok(made instanceof WorkerExport);
    return made;
  }

  connect(): Promise<TestClient> {
    return TestClient.connect(this.#socket);
  }

  /** Takes the bit of a chunk away, or sets it. */
  setPresent(chunk: number, present: boolean): void {
    const words = this.image.files[0]?.present ?? assert.fail();
    if (present) Atomics.or(words, chunk >> 5, 1 << (chunk & 31));
    else Atomics.and(words, chunk >> 5, ~(1 << (chunk & 31)));
  }

  /** Reads that the workers have answered by themselves. */
  hits(): number {
    this.workers.tellCounts();
    return this.meter.get("larder_nbd_reads_total", { outcome: "hit" });
  }

  /** Ends the worker that serves now, as a fault of its own would. */
  async killWorker(): Promise<void> {
    const worker = this.started.at(-1) ?? assert.fail();
    const exit = once(worker, "exit");
    await worker.terminate();
    await exit;
  }
}

/** Lets turns of the loop pass until it is so; another thread has to bring it about. */
export async function until(so: () => boolean): Promise<void> {
  while (!so()) await new Promise((resolve) => setImmediate(resolve));
}
