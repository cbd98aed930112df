import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { constants } from "node:os";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { closeOnExec } from "../base/close-on-exec.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { BoundedLog } from "./bounded-log.ts";
import { hugePagesFilter } from "./huge-pages-filter.ts";
import { confinedCommand, filterFd, infoFd, type MachineHost } from "./confinement.ts";
import {
  channelSocketName,
  consoleName,
  lastWordsName,
  type MachineSpec,
  markerOf,
  qmpSocketName,
} from "./machine-spec.ts";
import { printable } from "./printable.ts";
import {
  findByArgument,
  isAlive,
  killByIdentity,
  type ProcessIdentity,
  startTimeOf,
} from "../base/processes.ts";

/** The process of a machine, whoever started it. */
export interface Vmm {
  readonly identity: ProcessIdentity;
  /** Resolves when the VMM is no more and everything of it has been read, whoever ended it. */
  readonly exited: Promise<MachineExit>;
  /** Ends it at once, waits until it is gone, and removes its sockets. May be called twice. */
  end(): Promise<void>;
  /** Lets go of it: it runs on without this program. */
  leave(): void;
}

export interface MachineExit {
  /** Another program started it: how it ended is not to be known. */
  readonly adopted?: true;
  /** Null when a signal ended it, or when it could not even be started. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to its standard error, on one line; may be empty. */
  readonly lastWords: string;
}

/** Bubblewrap tells a few numbers in some hundred bytes. */
const infoBytesMax = 10_000;
export const logBytesMax = 1 << 20;
/** How much is read of the VMM's complaints to make its last words of, in bytes. */
export const lastWordsBytes = 4000;
const lastWordsCharactersMax = 1000;
/** How long killed processes may take to be gone, and how often they are looked at. */
const endMsMax = 10_000;
const pollMs = 2;
/** How long a watcher that was just started is given to tell its child's number before it is killed. */
const beginMsMax = 2000;

/**
 * The processes of one machine: bubblewrap, which watches, and the VMM in its cage, in a session of their own.
 * They survive this program; whoever wants them ended says so.
 */
export class VmmProcess implements Vmm {
  readonly exited: Promise<MachineExit>;
  readonly #spec: MachineSpec;
  readonly #clock: Clock;
  readonly #watcher: ChildProcess;
  readonly #words: BoundedLog;
  readonly #logs: Disposable;
  readonly #begun: Promise<ProcessIdentity | undefined>;
  #identity: ProcessIdentity | undefined;
  #ending: Promise<void> | undefined;

  private constructor(spec: MachineSpec, clock: Clock, logs: Logs, watcher: ChildProcess) {
    this.#spec = spec;
    this.#clock = clock;
    this.#words = logs.words;
    this.#logs = logs;
    this.#watcher = watcher;
    const watcherEnd = endOf(watcher);
    this.#begun = Promise.race([childPid(watcher), watcherEnd.then(() => undefined)]).then(
      (pid) => (this.#identity = identityOf(pid)),
    );
    this.exited = watcherEnd.then((end) => this.#settle(end));
  }

  /** Resolves when the VMM has a process; throws `unavailable` with its last words when it has ended by then. */
  static async spawn(
    spec: MachineSpec,
    host: MachineHost & { readonly clock: Clock },
    signal: AbortSignal,
  ): Promise<VmmProcess> {
    signal.throwIfAborted();
    const logs = openLogs(spec, host);
    const process = new VmmProcess(spec, host.clock, logs, spawnConfined(spec, host, logs));
    try {
      const identity = await abortable(process.#begun, signal);
      if (identity === undefined) throw endedEarly(await abortable(process.exited, signal));
      return process;
    } catch (error) {
      await process.end();
      throw error;
    }
  }

  get identity(): ProcessIdentity {
    assert(this.#identity !== undefined, "a process that was handed out has begun");
    return this.#identity;
  }

  /**
   * Ends both processes at once, waits until they are gone, and removes the machine's sockets. May be called twice.
   * Throws `unavailable` when the kernel does not let go of them.
   */
  end(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  leave(): void {
    this.#watcher.unref();
    infoOf(this.#watcher)?.destroy();
    this.#logs[Symbol.dispose]();
  }

  async #end(): Promise<void> {
    using patience = deadline(this.#clock, endMsMax, `ending machine '${this.#spec.id}'`);
    const identity = this.#identity ?? (await this.#beginning());
    // The watcher ends by itself after the VMM, and waits for it as its parent should.
    if (identity === undefined) this.#watcher.kill("SIGKILL");
    else killByIdentity(identity);
    await abortable(this.exited, patience.signal);
    await removeSockets(this.#spec);
  }

  /** The VMM's process, if there is going to be one: killing only its watcher would leave it to itself. */
  async #beginning(): Promise<ProcessIdentity | undefined> {
    using patience = deadline(this.#clock, beginMsMax, "the beginning of a machine");
    return abortable(this.#begun, patience.signal).catch(() => undefined);
  }

  /** The watcher is no more. If it did not end by itself, what it watched must not go on without it. */
  async #settle(end: WatcherEnd): Promise<MachineExit> {
    const left = end.signal === null ? [] : await findByArgument(markerOf(this.#spec.id));
    if (this.#identity !== undefined) left.push(this.#identity);
    const patient = new AbortController().signal;
    for (const each of left) {
      while (isAlive(each)) {
        killByIdentity(each);
        await this.#clock.sleep(pollMs, patient);
      }
    }
    const words = end.trouble ?? this.#words.tail(lastWordsBytes);
    this.#logs[Symbol.dispose]();
    return machineExit({ ...end, words });
  }
}

/** Recursive, because the VMM may have put there what it wanted. */
export async function removeSockets({ socketDirectory }: MachineSpec): Promise<void> {
  const sockets = [qmpSocketName, channelSocketName].map((name) => path.join(socketDirectory, name));
  await Promise.all(sockets.map((socket) => rm(socket, { force: true, recursive: true })));
}

interface WatcherEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started. */
  readonly trouble?: string;
}

interface Logs extends Disposable {
  readonly words: BoundedLog;
}

function openLogs(spec: MachineSpec, { clock, root }: { clock: Clock; root: boolean }): Logs {
  using held = new DisposableStack();
  const open = (name: string, uid?: number) =>
    held.use(BoundedLog.create(path.join(spec.directory, name), { bytesMax: logBytesMax, clock, uid }));
  try {
    const words = open(lastWordsName);
    if (spec.boot !== undefined) open(consoleName, root ? spec.uid : undefined);
    const all = held.move();
    return { words, [Symbol.dispose]: () => all.dispose() };
  } catch (error) {
    throw Failure.from(error, `the logs of machine '${spec.id}' cannot be opened`);
  }
}

function spawnConfined(spec: MachineSpec, host: MachineHost, logs: Logs): ChildProcess {
  const { program, args } = confinedCommand(spec, host);
  let snapfile: number | undefined;
  try {
    // The VMM inherits the device state as a descriptor: its file need not be in the cage.
    if (spec.snapfile !== undefined) snapfile = openSync(spec.snapfile, "r");
    closeOnExec();
    const lazy = spec.memfile.lazy !== undefined;
    const stdio = ["ignore", "ignore", logs.words.descriptor, snapfile ?? "ignore", "pipe"] as const;
    const all = [...stdio, ...(lazy ? (["pipe"] as const) : [])];
    const watcher = spawn(program, args, { detached: true, cwd: "/", env: {}, stdio: all });
    if (lazy) giveFilter(watcher);
    return watcher;
  } catch (error) {
    logs[Symbol.dispose]();
    throw Failure.from(error);
  } finally {
    if (snapfile !== undefined) closeSync(snapfile);
  }
}

/** Bubblewrap reads it to its end before the VMM begins. */
function giveFilter(watcher: ChildProcess): void {
  const filter = (watcher.stdio as readonly unknown[] | undefined)?.[filterFd] as Writable | undefined;
  filter?.on("error", ignore);
  filter?.end(hugePagesFilter(), () => filter.destroy());
}

/**
 * What became of the VMM, of what became of its watcher: that tells a signal as a shell does, as 128 and its
 * number.
 */
export function machineExit(end: WatcherEnd & { readonly words: string }): MachineExit {
  const { code, signal, words } = end;
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  const told = names.find(([, number]) => code === 128 + number)?.[0];
  const lines = words.split("\n").filter((line) => !harmless.test(line));
  return {
    code: told === undefined ? code : null,
    signal: told ?? signal,
    lastWords: printable(lines.join("\n"), lastWordsCharactersMax),
  };
}

/** Said at each start: the network card leads nowhere, on purpose. */
const harmless = /warning: hub \d+ is not connected to host network/;

/** Says why a machine is no more, with its last words. */
export function endedEarly(exit: MachineExit): Failure {
  const { lastWords } = exit;
  const how = howItEnded(exit);
  return new Failure("unavailable", `the machine ${how}${lastWords === "" ? "" : `: ${lastWords}`}`);
}

function howItEnded({ adopted, code, signal }: MachineExit): string {
  if (adopted === true) return "ended";
  if (signal !== null) return `ended by ${signal}`;
  return code === null ? "could not be started" : `ended with code ${code}`;
}

function endOf(watcher: ChildProcess): Promise<WatcherEnd> {
  return new Promise((resolve) => {
    watcher.once("error", ({ message }) => resolve({ code: null, signal: null, trouble: message }));
    watcher.once("exit", (code, signal) => resolve({ code, signal }));
  });
}

/**
 * Reads the process number that bubblewrap tells as JSON; undefined when it ended without a word.
 * The pipe is read to its end: bubblewrap writes to it more than once.
 */
function childPid(watcher: ChildProcess): Promise<number | undefined> {
  const info = infoOf(watcher);
  return new Promise((resolve) => {
    if (info === undefined) return resolve(undefined);
    let text = "";
    info.on("data", (piece: Buffer) => {
      text = (text + String(piece)).slice(-infoBytesMax);
      const pid = /"child-pid":\s*(\d+)\b/.exec(text)?.[1];
      if (pid !== undefined) resolve(Number(pid));
    });
    info.on("error", ignore);
    info.on("close", () => resolve(undefined));
  });
}

/** There is no such array when the system had no descriptor left for the pipe. */
function infoOf(watcher: ChildProcess): Readable | undefined {
  return (watcher.stdio as ChildProcess["stdio"] | undefined)?.[infoFd] as Readable | undefined;
}

function identityOf(pid: number | undefined): ProcessIdentity | undefined {
  const startTime = pid === undefined ? undefined : startTimeOf(pid);
  return pid === undefined || startTime === undefined ? undefined : { pid, startTime };
}
