import { chown } from "node:fs/promises";
import path from "node:path";
import { abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { insideDirectory, type MachineHost } from "./confinement.ts";
import { channelSocketName, type MachineSpec, qmpSocketName } from "./machine-spec.ts";
import type { ProcessIdentity } from "./processes.ts";
import { incomingUri } from "./qemu-arguments.ts";
import { QmpClient, type QmpEvent } from "./qmp-client.ts";
import { endedEarly, type MachineExit, VmmProcess } from "./vmm-process.ts";

/** How often a socket that is about to appear, or a state that is about to change, is looked at. */
const pollMs = 1;

/**
 * One VMM process.
 *
 *   start ─▶ booting ──▶ running ──▶ stopped (snapshot taken)
 *        └▶ waiting ─restore─▶ running
 *   any ─destroy, or by itself─▶ exited
 *
 * The VMM is the one owner of this state; it is asked, not remembered.
 */
export class Machine implements AsyncDisposable {
  readonly spec: MachineSpec;
  readonly #process: VmmProcess;
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #qmp: QmpClient | undefined;

  private constructor(spec: MachineSpec, process: VmmProcess, clock: Clock) {
    this.spec = spec;
    this.#process = process;
    this.#clock = clock;
  }

  /**
   * Starts the VMM and resolves when it takes commands: a machine with `boot` is booting then, one with a snapfile
   * waits for `restore`. Throws `unavailable` with the VMM's last words when it ends before. Nothing is left of a
   * start that failed or was aborted.
   */
  static async start(
    spec: MachineSpec,
    host: MachineHost & { clock: Clock },
    signal: AbortSignal,
  ): Promise<Machine> {
    await giveTo(spec, host);
    const process = await VmmProcess.spawn(spec, host, signal);
    const machine = new Machine(spec, process, host.clock);
    try {
      await machine.#unlessExited(machine.#connect(signal));
      return machine;
    } catch (error) {
      await machine.destroy();
      throw error;
    }
  }

  get identity(): ProcessIdentity {
    return this.#process.identity;
  }

  /** Resolves when the VMM is no more, whoever ended it. */
  get exited(): Promise<MachineExit> {
    return this.#process.exited;
  }

  /** The Unix socket of the channel to the agent; one client at a time. */
  get channelPath(): string {
    return path.join(this.spec.socketDirectory, channelSocketName);
  }

  onEvent(listener: (event: QmpEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Loads the device state of `spec.snapfile` and lets the machine run. */
  async restore(signal: AbortSignal): Promise<void> {
    await this.execute("migrate-incoming", { uri: incomingUri }, signal);
    for (let status = await this.status(signal); status === "inmigrate"; status = await this.status(signal)) {
      await this.#clock.sleep(pollMs, signal);
    }
    await this.execute("cont", {}, signal);
  }

  /**
   * Stops the machine and saves its device state as `name` in its directory. Its memory is in its memfile then,
   * its disk in its image. The machine stays stopped.
   */
  async snapshot(name: string, signal: AbortSignal): Promise<void> {
    await this.execute("stop", {}, signal);
    await this.execute("xen-save-devices-state", { filename: insideDirectory(name), live: false }, signal);
  }

  /** The VMM's word for what it does: `running`, `paused`, `inmigrate`, `io-error`, … */
  async status(signal: AbortSignal): Promise<string> {
    const { status } = (await this.execute("query-status", {}, signal)) as { status: string };
    return status;
  }

  /** Any command of the machine protocol. */
  execute(command: string, args: object, signal: AbortSignal): Promise<unknown> {
    if (this.#qmp === undefined) throw new Failure("unavailable", "the machine takes no commands");
    return this.#unlessExited(this.#qmp.execute(command, args, signal));
  }

  /** Ends the VMM in its own way, which writes out its disks. For machines that made a template. */
  async quit(signal: AbortSignal): Promise<void> {
    await this.#qmp?.execute("quit", {}, signal).catch((error: unknown) => {
      if (!Failure.is(error, "unavailable")) throw error; // it may end before it answers
    });
    await abortable(this.exited, signal);
    await this.destroy();
  }

  /** Ends the VMM at once, whatever it is doing: never through its control socket, which may hang. */
  async destroy(): Promise<void> {
    await this.#process.end();
    this.#qmp?.destroy(new Failure("unavailable", "the machine was ended"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const socket = path.join(this.spec.socketDirectory, qmpSocketName);
    const onEvent = (event: QmpEvent) => {
      for (const listener of this.#listeners) listener(event);
    };
    while (this.#qmp === undefined) {
      try {
        this.#qmp = await QmpClient.connect(socket, onEvent, signal);
      } catch (error) {
        // The socket appears some milliseconds after the process; if that is no more, `exited` ends the wait.
        signal.throwIfAborted();
        if (Failure.from(error).code === "internal") throw error;
        await Promise.race([this.#clock.sleep(pollMs, signal), this.exited]);
      }
    }
  }

  async #unlessExited<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => {});
    const exit = this.exited.then((exit) => Promise.reject(endedEarly(exit)));
    exit.catch(() => {});
    return Promise.race([promise, exit]);
  }
}

/** A machine of its own user must be able to write what is its own. */
async function giveTo(spec: MachineSpec, host: MachineHost): Promise<void> {
  const { uid } = spec;
  if (!host.root || uid === undefined) return;
  const own = [spec.directory, spec.socketDirectory];
  if (spec.memfile.mode === "build") own.push(spec.memfile.path);
  own.push(spec.rootDisk.kind === "raw" ? spec.rootDisk.path : path.join(spec.directory, spec.rootDisk.name));
  await Promise.all(own.map((each) => chown(each, uid, uid)));
}
