import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import type { ProcessConfig } from "../protocol/generated/process_pb.js";
import type { Subscription } from "./broadcast.ts";
import { GuestProcess, type ProcessEvent } from "./guest-process.ts";
import type { ProcessJournal } from "./process-journal.ts";
import { leftSpawned } from "./left-process.ts";
import { type Launch, spawn, type Spawner } from "./spawn.ts";

const runningMax = 1024;
const endedMax = 1024;
/** How long the end of a process is told to those who ask late. */
const replayMs = 30_000;

export type ProcessName = { readonly pid: number } | { readonly tag: string };

/** The processes that clients started: those that run, and for a while those that have ended. */
export class ProcessTable {
  readonly #spawner: Spawner;
  readonly #clock: Clock;
  readonly #journal: ProcessJournal;
  readonly #running = new Map<number, GuestProcess>();
  readonly #ended = new Map<GuestProcess, Disposable>();
  #starting = 0;

  /** Begins with the processes that an agent before this one has left. */
  constructor(spawner: Spawner, clock: Clock, journal: ProcessJournal) {
    this.#spawner = spawner;
    this.#clock = clock;
    this.#journal = journal;
    for (const each of journal.left) {
      this.#keep(new GuestProcess(leftSpawned(each, clock), each.config, each.tag, clock));
    }
  }

  running(): GuestProcess[] {
    return [...this.#running.values()];
  }

  /**
   * Starts a process; its events from the very first on come with it. A client's `config` travels along, to be
   * shown in lists.
   */
  async start(
    launch: Launch,
    config: ProcessConfig,
    tag: string | undefined,
  ): Promise<{ process: GuestProcess; events: Subscription<ProcessEvent> }> {
    if (this.#running.size + this.#starting >= runningMax) {
      throw new Failure("exhausted", `${runningMax} processes run already`);
    }
    this.#starting += 1;
    try {
      const spawned = await spawn(launch, this.#spawner);
      const process = new GuestProcess(spawned, config, tag, this.#clock);
      this.#keep(process);
      this.#journal.started(process);
      return { process, events: process.subscribe() };
    } finally {
      this.#starting -= 1;
    }
  }

  /** One that runs; throws `not_found`. */
  findRunning(name: ProcessName): GuestProcess {
    const process = pick(this.#running.values(), name);
    if (process === undefined) throw new Failure("not_found", `no process with ${wordsFor(name)} runs`);
    return process;
  }

  /** One that runs, or ended a moment ago; throws `not_found`. */
  find(name: ProcessName): GuestProcess {
    const process = pick(this.#running.values(), name) ?? pick([...this.#ended.keys()].toReversed(), name);
    if (process === undefined) throw new Failure("not_found", `no process with ${wordsFor(name)}`);
    return process;
  }

  #keep(process: GuestProcess): void {
    this.#running.set(process.pid, process);
    void process.finished.then(() => this.#retire(process));
  }

  #retire(process: GuestProcess): void {
    this.#journal.ended(process.pid);
    if (this.#running.get(process.pid) === process) this.#running.delete(process.pid);
    this.#ended.set(
      process,
      this.#clock.after(replayMs, () => this.#ended.delete(process)),
    );
    for (const [oldest, timer] of this.#ended) {
      if (this.#ended.size <= endedMax) break;
      timer[Symbol.dispose]();
      this.#ended.delete(oldest);
    }
  }
}

function pick(processes: Iterable<GuestProcess>, name: ProcessName): GuestProcess | undefined {
  for (const process of processes) {
    if ("pid" in name ? process.pid === name.pid : process.tag === name.tag) return process;
  }
  return undefined;
}

function wordsFor(name: ProcessName): string {
  return "pid" in name ? `pid ${name.pid}` : `tag '${name.tag}'`;
}
