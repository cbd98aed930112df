import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { once } from "node:events";
import path from "node:path";
import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { closeOnExec } from "../base/close-on-exec.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { findByArgument, killByIdentity } from "../base/processes.ts";
import type { ChunkTable } from "./chunk-table.ts";
import { MemoryLink, type MemoryLinkOptions } from "./memory-link.ts";
import { type FileIdentity, identityOfMount } from "./mount-table.ts";
import type { FirstPagesPlace } from "./server/give-first-pages.ts";
import type { ServeOrder } from "./server/serve-memory.ts";
import { unmountLazily } from "./unmount.ts";

/** How the directory of a server is called, in the directory of the daemon's sockets. */
export const memoryServerName = /^mem-[a-z0-9]+$/;

export interface StartOptions {
  /** Where its socket and its mount lie; not there yet. It is also what its process is found by. */
  readonly directory: string;
  readonly build: string;
  readonly table: ChunkTable;
  /** The chunk file on the shelf. */
  readonly source: string;
  readonly clock: Clock;
  readonly stalledMs: number;
  readonly withheldMsMax: number;
  /** What machines read first: the kernel gets to know it before any machine asks. */
  readonly firstPages?: FirstPagesPlace | undefined;
  /** Tells of every page that is read; then the kernel reads none beforehand. */
  readonly tellsPages?: boolean;
}

type Events = Pick<MemoryLinkOptions, "read" | "onNews" | "onTouch" | "onPage" | "onTrouble">;

/** How long the process may take to end when it is asked to, before it is killed. */
const endMsMax = 2_000;
const killMsMax = 5_000;
const pollMs = 5;

/** A process that serves one memory file to machines, from the side of the daemon that uses it. */
export class MemoryServer {
  /** What machines map. This program must never touch it: a read of it might wait for this program. */
  readonly path: string;
  /** By which the mapping of a machine is found. */
  readonly file: FileIdentity;
  readonly #directory: string;
  readonly #link: MemoryLink;
  readonly #clock: Clock;

  private constructor(directory: string, file: FileIdentity, link: MemoryLink, clock: Clock) {
    this.path = mountPointIn(directory);
    this.file = file;
    this.#directory = directory;
    this.#link = link;
    this.#clock = clock;
  }

  /** Throws `unavailable` with the reason where no file can be served; nothing is left of it then. */
  static async start(options: StartOptions, events: Events, signal: AbortSignal): Promise<MemoryServer> {
    const { build, clock, directory, source, table, firstPages, tellsPages = false } = options;
    try {
      await mkdir(directory, { mode: 0o700 });
      await writeFile(mountPointIn(directory), "");
      const [socket, mountPoint] = [socketIn(directory), mountPointIn(directory)];
      const bounds = { stalledMs: options.stalledMs, withheldMsMax: options.withheldMsMax };
      const first = firstPages && { path: firstPages.path, table: firstPages.table.encode() };
      const what = { build, table: table.encode(), source, firstPages: first, tellsPages };
      const order = { ...what, socket, mountPoint, directory, ...bounds };
      await spawnServer(order, signal);
      return await MemoryServer.find({ directory, build, clock }, events, signal);
    } catch (error) {
      await removeMemoryServer(directory, clock).catch(ignore);
      throw error;
    }
  }

  /** The server that a former daemon has started. Throws `not_found` when it is no more, or serves something else. */
  static async find(
    { directory, build, clock }: Pick<StartOptions, "directory" | "build" | "clock">,
    events: Events,
    signal: AbortSignal,
  ): Promise<MemoryServer> {
    const socket = createConnection(socketIn(directory));
    try {
      await abortable(connected(socket), signal);
      const link = await MemoryLink.greet({ socket, build, clock, ...events }, signal);
      const file = await identityOfMount(mountPointIn(directory));
      if (file === undefined) throw new Failure("not_found", "its file is not mounted any more");
      return new MemoryServer(directory, file, link, clock);
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      const why = Failure.from(error).message;
      throw new Failure("not_found", `the memory of build ${build} is served no more: ${why}`);
    }
  }

  /** Resolves when it serves no more, and nobody here wanted that: who has mapped the file must be ended. */
  get lost(): Promise<void> {
    return this.#link.lost;
  }

  /** Lets go of it: it goes on without this program, and is found again by its directory. */
  leave(): void {
    this.#link.leave();
  }

  /** Ends it, in order or not, and removes all of it. Nobody may have mapped the file any more. */
  async end(): Promise<void> {
    using patience = deadline(this.#clock, endMsMax, "the end of what serves a memory");
    await abortable(this.#link.end(), patience.signal).catch(ignore);
    this.#link.leave();
    await removeMemoryServer(this.#directory, this.#clock);
  }
}

/** Ends whatever is left of the server with this directory; silent when nothing is. */
export async function removeMemoryServer(directory: string, clock: Clock): Promise<void> {
  using patience = deadline(clock, killMsMax, "ending what serves a memory");
  for (;;) {
    const left = await findByArgument(directory);
    if (left.length === 0) break;
    for (const each of left) killByIdentity(each);
    await clock.sleep(pollMs, patience.signal);
  }
  await unmountLazily(mountPointIn(directory));
  await rm(directory, { recursive: true, force: true });
}

/** Resolves when machines may map the file. */
async function spawnServer(order: ServeOrder, signal: AbortSignal): Promise<void> {
  closeOnExec();
  const words = openSync(path.join(order.directory, "log"), "a", 0o600);
  const main = path.join(import.meta.dirname, "server/main.ts");
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, order.directory], {
    detached: true,
    cwd: "/",
    // Two of its threads wait for the kernel all the time.
    env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", UV_THREADPOOL_SIZE: "8" },
    stdio: ["pipe", "pipe", words],
  });
  closeSync(words);
  const { stdin, stdout } = child;
  assert(stdin !== null && stdout !== null, "both are pipes");
  stdin.on("error", ignore);
  stdin.end(JSON.stringify(order));
  const ended = once(child, "exit").then(([code, how]) => {
    throw new Failure("unavailable", `what serves a memory ended (${String(code ?? how)})`);
  });
  ended.catch(ignore);
  try {
    await abortable(Promise.race([once(stdout, "data"), ended]), signal);
  } finally {
    stdout.destroy();
    child.unref();
  }
}

async function connected(socket: Socket): Promise<void> {
  await once(socket, "connect");
}

function socketIn(directory: string): string {
  return path.join(directory, "socket");
}

function mountPointIn(directory: string): string {
  return path.join(directory, "memfile");
}
