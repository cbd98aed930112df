import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { abortable } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import { confinedCommand, type MachineHost } from "./confinement.ts";
import { channelSocketName, lastWordsName, type MachineSpec, qmpSocketName } from "./machine-spec.ts";
import { killByIdentity, type ProcessIdentity, startTimeOf } from "./processes.ts";

export interface MachineExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to its standard error, on one line; may be empty. */
  readonly lastWords: string;
}

/** How much of the last words is kept, in bytes. */
const lastWordsBytes = 2000;
/** Bubblewrap tells a few numbers in some hundred bytes. */
const infoBytesMax = 10_000;

/** The processes of one machine: bubblewrap, which watches, and the VMM in its cage, in a session of their own. */
export class VmmProcess {
  readonly identity: ProcessIdentity;
  readonly exited: Promise<MachineExit>;
  readonly #spec: MachineSpec;
  readonly #watcher: ChildProcess;

  private constructor(
    spec: MachineSpec,
    watcher: ChildProcess,
    identity: ProcessIdentity,
    exited: Promise<MachineExit>,
  ) {
    this.#spec = spec;
    this.#watcher = watcher;
    this.identity = identity;
    this.exited = exited;
  }

  /** Resolves when the VMM has a process; throws `unavailable` with its last words when it has ended by then. */
  static async spawn(spec: MachineSpec, host: MachineHost, signal: AbortSignal): Promise<VmmProcess> {
    signal.throwIfAborted();
    const wordsPath = path.join(spec.directory, lastWordsName);
    const words = openSync(wordsPath, "w", 0o600);
    const snapfile = spec.snapfile === undefined ? undefined : openSync(spec.snapfile, "r");
    const { program, args } = confinedCommand(spec, host);
    const watcher = spawn(program, args, {
      detached: true,
      env: {},
      stdio: ["ignore", "ignore", words, snapfile ?? "ignore", "pipe"],
    });
    closeSync(words);
    if (snapfile !== undefined) closeSync(snapfile);
    watcher.unref();
    const exited = new Promise<MachineExit>((resolve) => {
      watcher.once("error", (error) => resolve({ code: null, signal: null, lastWords: error.message }));
      watcher.once("exit", (code, signal) => resolve({ code, signal, lastWords: readLastWords(wordsPath) }));
    });
    try {
      const pid = await abortable(childPid(watcher.stdio[4] as Readable), signal);
      const startTime = pid === undefined ? undefined : startTimeOf(pid);
      if (pid === undefined || startTime === undefined) throw endedEarly(await abortable(exited, signal));
      return new VmmProcess(spec, watcher, { pid, startTime }, exited);
    } catch (error) {
      watcher.kill("SIGKILL");
      throw error;
    }
  }

  /** Ends both processes at once and removes the machine's sockets. May be called twice. */
  async end(): Promise<MachineExit> {
    killByIdentity(this.identity);
    const exit = await this.exited;
    this.#watcher.removeAllListeners();
    for (const name of [qmpSocketName, channelSocketName]) {
      await rm(path.join(this.#spec.socketDirectory, name), { force: true });
    }
    return exit;
  }
}

/** Says why a machine is no more, with its last words. */
export function endedEarly({ code, signal, lastWords }: MachineExit): Failure {
  const how = signal === null ? `with code ${code}` : `by ${signal}`;
  return new Failure("unavailable", `the machine ended ${how}${lastWords === "" ? "" : `: ${lastWords}`}`);
}

/**
 * Reads the process number that bubblewrap tells as JSON; undefined when it ended without a word.
 * The pipe is read to its end: bubblewrap writes to it more than once.
 */
function childPid(info: Readable): Promise<number | undefined> {
  return new Promise((resolve) => {
    let text = "";
    info.on("data", (piece: Buffer) => {
      text = (text + String(piece)).slice(-infoBytesMax);
      const pid = /"child-pid":\s*(\d+)\b/.exec(text)?.[1];
      if (pid !== undefined) resolve(Number(pid));
    });
    info.on("error", () => resolve(undefined));
    info.on("close", () => resolve(undefined));
  });
}

function readLastWords(file: string): string {
  try {
    const fd = openSync(file, "r");
    try {
      const buffer = Buffer.alloc(64 * 1024);
      const bytes = readSync(fd, buffer, 0, buffer.length, 0);
      return buffer
        .subarray(Math.max(0, bytes - lastWordsBytes), bytes)
        .toString()
        .trim()
        .replaceAll("\n", "; ");
    } finally {
      closeSync(fd);
    }
  } catch {
    return "";
  }
}
