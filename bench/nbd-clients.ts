import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface, type Interface } from "node:readline";
import { promisify } from "node:util";
import type { LoadCase, LoadResult } from "./nbd-load.ts";

const run = promisify(execFile);

/** A server that is measured. */
export interface Candidate {
  readonly name: string;
  readonly socket: string;
}

export interface Client {
  readonly name: string;
  readonly unit: string;
  readonly perSecond: (server: Candidate) => Promise<number>;
}

const loadMs = 300;
const shapes: readonly (readonly [label: string, requestBytes: number, depths: readonly number[]])[] = [
  ["4k", 4096, [1, 8, 32]],
  ["256k", 256 * 1024, [1, 8]],
];

/** Every client, in the order in which each round runs them. */
export function clients(load: LoadClient, deviceBytes: number): Client[] {
  const loads = shapes.flatMap(([label, requestBytes, depths]) =>
    [1, 4].flatMap((connections) =>
      depths.map((depth) => ({
        name: `${label}-qd${depth}${connections === 1 ? "" : `-c${connections}`}`,
        unit: "reads/s",
        perSecond: (server: Candidate) => load.perSecond(server, { requestBytes, depth, connections }),
      })),
    ),
  );
  return [...loads, nbdcopy(deviceBytes), qemuImgBench];
}

function nbdcopy(deviceBytes: number): Client {
  const perSecond = async ({ socket }: Candidate) => {
    const began = performance.now();
    await run("nbdcopy", [`nbd+unix:///?socket=${socket}`, "null:"]);
    return Math.round(deviceBytes / 2 ** 20 / ((performance.now() - began) / 1000));
  };
  return { name: "nbdcopy", unit: "MiB/s", perSecond };
}

/** QEMU's own client; prints "Run completed in S seconds." */
const qemuImgBench: Client = {
  name: "qemu-img",
  unit: "reads/s",
  perSecond: async ({ socket }) => {
    const count = 20_000;
    const shape = ["-c", String(count), "-d", "16", "-s", "4096"];
    const { stdout } = await run("qemu-img", [
      "bench",
      "-f",
      "raw",
      ...shape,
      `nbd+unix:///?socket=${socket}`,
    ]);
    const seconds = Number(/completed in ([\d.]+) seconds/.exec(stdout)?.[1]);
    return Math.round(count / seconds);
  },
};

/** The load client, in a process of its own. */
export class LoadClient implements AsyncDisposable {
  /** The largest share of its time that the client was busy. */
  busyMax = 0;
  readonly #deviceBytes: number;
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #failed: Promise<never>;

  constructor(deviceBytes: number) {
    this.#deviceBytes = deviceBytes;
    const program = path.join(import.meta.dirname, "nbd-load.ts");
    const child = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#failed = once(child, "exit").then(() => Promise.reject(new Error("the load client has ended")));
    this.#failed.catch(() => {});
  }

  async perSecond(
    { socket }: Candidate,
    shape: Pick<LoadCase, "requestBytes" | "depth" | "connections">,
  ): Promise<number> {
    const load: LoadCase = { socket, deviceBytes: this.#deviceBytes, ms: loadMs, ...shape };
    const line = once(this.#lines, "line");
    this.#child.stdin?.write(`${JSON.stringify(load)}\n`);
    const [answer] = (await Promise.race([line, this.#failed])) as [string];
    const { perSecond, busy } = JSON.parse(answer) as LoadResult;
    this.busyMax = Math.max(this.busyMax, busy);
    return perSecond;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, "exit");
  }
}
