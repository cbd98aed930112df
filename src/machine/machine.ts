import assert from "node:assert/strict";
import { chown } from "node:fs/promises";
import path from "node:path";
import { abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { AdoptedVmm } from "./adopted-vmm.ts";
import { insideDirectory, type MachineHost } from "./confinement.ts";
import { channelSocketName, type MachineSpec, netdevName, qmpSocketName } from "./machine-spec.ts";
import { isAlive, type ProcessIdentity } from "../base/processes.ts";
import { incomingUri } from "./qemu-arguments.ts";
import { QmpClient, type QmpEvent } from "./qmp-client.ts";
import { untilThere } from "./until-there.ts";
import { endedEarly, type MachineExit, type Vmm, VmmProcess } from "./vmm-process.ts";

/** How long to wait before a socket is tried again that nobody listened to. */
const pollMs = 1;
/** A VMM that has hung up is about to end: how long it is waited for, to hear its last words. */
const lastWordsMsMax = 2000;

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
  readonly #process: Vmm;
  readonly #qmp: QmpClient;
  readonly #listeners: Set<Listener>;

  private constructor(spec: MachineSpec, process: Vmm, qmp: QmpClient, listeners: Set<Listener>) {
    this.spec = spec;
    this.#process = process;
    this.#qmp = qmp;
    this.#listeners = listeners;
  }

  /**
   * Starts the VMM and resolves when it takes commands: a machine with `boot` is booting then, one with a snapfile
   * waits for `restore`. Throws `unavailable` with the VMM's last words when it ends before. Nothing is left of a
   * start that failed or was aborted.
   */
  static async start(
    spec: MachineSpec,
    host: MachineHost & { readonly clock: Clock },
    signal: AbortSignal,
  ): Promise<Machine> {
    assert((spec.boot === undefined) !== (spec.snapfile === undefined), "a machine boots or is restored");
    await giveTo(spec, host);
    const process = await VmmProcess.spawn(spec, host, signal);
    const listeners = new Set<Listener>();
    try {
      const qmp = await connectTo(spec, process, { clock: host.clock, listeners }, signal);
      const machine = new Machine(spec, process, qmp, listeners);
      if (spec.boot !== undefined) await machine.#plug(signal);
      return machine;
    } catch (error) {
      await process.end();
      throw error;
    }
  }

  /**
   * The machine that an earlier program started and left, as `spec` and the identity of its process say. Throws
   * `not_found` when it is no more, `unavailable` when it does not take commands.
   */
  static async adopt(
    spec: MachineSpec,
    identity: ProcessIdentity,
    clock: Clock,
    signal: AbortSignal,
  ): Promise<Machine> {
    if (!isAlive(identity)) throw new Failure("not_found", `machine '${spec.id}' is no more`);
    const process = new AdoptedVmm(spec, identity, clock);
    const listeners = new Set<Listener>();
    try {
      return new Machine(
        spec,
        process,
        await connectTo(spec, process, { clock, listeners }, signal),
        listeners,
      );
    } catch (error) {
      process.leave();
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

  /** What the VMM tells unasked. */
  onEvent(listener: Listener): void {
    this.#listeners.add(listener);
  }

  /** Loads the device state of `spec.snapfile` and lets the machine run. */
  async restore(signal: AbortSignal): Promise<void> {
    const { promise: loaded, resolve } = Promise.withResolvers<void>();
    const listener = ({ event, data }: QmpEvent) => {
      if (event === "MIGRATION" && data?.["status"] === "completed") resolve();
    };
    this.#listeners.add(listener);
    try {
      // The VMM says when the state is loaded, instead of being asked again and again. It does one after the other.
      await Promise.all([
        this.execute(
          "migrate-set-capabilities",
          { capabilities: [{ capability: "events", state: true }] },
          signal,
        ),
        this.execute("migrate-incoming", { uri: incomingUri }, signal),
      ]);
      // A VMM that cannot load its state says why and ends.
      const exited = this.exited.then((exit) => Promise.reject(endedEarly(exit)));
      await abortable(Promise.race([loaded, exited]), signal);
    } finally {
      this.#listeners.delete(listener);
    }
    await this.#plug(signal);
    await this.resume(signal);
  }

  /** Gives the guest a carrier if its network card leads anywhere. A loaded device state brings its own. */
  async #plug(signal: AbortSignal): Promise<void> {
    await this.execute("set_link", { name: netdevName, up: this.spec.network !== undefined }, signal);
  }

  /** Stops the machine; what it has written to its disk is in its file then. */
  async stop(signal: AbortSignal): Promise<void> {
    await this.execute("stop", {}, signal);
  }

  /** Saves the device state of a machine that is stopped as `name` in its directory. It may go on afterwards. */
  async saveDeviceState(name: string, signal: AbortSignal): Promise<void> {
    await this.execute("xen-save-devices-state", { filename: insideDirectory(name), live: true }, signal);
  }

  /**
   * Stops the machine and saves its device state as `name` in its directory. Its memory is in its memfile then,
   * its disk in its image. The machine stays stopped, also when saving fails.
   */
  async snapshot(name: string, signal: AbortSignal): Promise<void> {
    await this.stop(signal);
    await this.execute("xen-save-devices-state", { filename: insideDirectory(name), live: false }, signal);
  }

  /** Lets a machine that is stopped go on. */
  async resume(signal: AbortSignal): Promise<void> {
    await this.execute("cont", {}, signal);
  }

  /** The VMM's word for what it does: `running`, `paused`, `inmigrate`, `io-error`, … */
  async status(signal: AbortSignal): Promise<string> {
    const { status } = (await this.execute("query-status", {}, signal)) as { status?: unknown };
    return String(status);
  }

  /** Any command of the machine protocol. Throws `unavailable` with the last words of a machine that is no more. */
  execute(command: string, args: object, signal: AbortSignal): Promise<unknown> {
    return this.#qmp.execute(command, args, signal);
  }

  /** Ends the VMM in its own way, which writes out its disks. For machines that made a template. */
  async quit(signal: AbortSignal): Promise<void> {
    try {
      await this.execute("quit", {}, signal).catch((error: unknown) => {
        if (!Failure.is(error, "unavailable")) throw error; // it may end before it answers
      });
      const { code, signal: how } = await abortable(this.exited, signal);
      if (code !== 0) throw new Failure("internal", `the machine did not end well: ${how ?? `code ${code}`}`);
    } finally {
      await this.destroy();
    }
  }

  /** Ends the VMM at once, whatever it is doing: never through its control socket, which may hang. */
  async destroy(): Promise<void> {
    this.#qmp.destroy(new Failure("unavailable", "the machine was ended"));
    await this.#process.end();
  }

  /** Lets go of the VMM: it runs on, for another program to adopt. */
  leave(): void {
    this.#qmp.destroy(new Failure("unavailable", "the machine was left to itself"));
    this.#process.leave();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }
}

type Listener = (event: QmpEvent) => void;

/**
 * Waits for the control socket, which appears some milliseconds after the process, and connects to it. What fails
 * because the VMM has ended fails with its last words.
 */
async function connectTo(
  spec: MachineSpec,
  process: Vmm,
  { clock, listeners }: { readonly clock: Clock; readonly listeners: ReadonlySet<Listener> },
  signal: AbortSignal,
): Promise<QmpClient> {
  const whyClosed = async () => {
    using patience = deadline(clock, lastWordsMsMax, "the end of a machine that has hung up");
    return endedEarly(await abortable(process.exited, patience.signal));
  };
  const onEvent = (event: QmpEvent) => {
    for (const listener of listeners) listener(event);
  };
  const options = { path: path.join(spec.socketDirectory, qmpSocketName), onEvent, whyClosed };
  const ended = new AbortController();
  void process.exited.then((exit) => ended.abort(endedEarly(exit)));
  const either = AbortSignal.any([signal, ended.signal]);
  await untilThere(options.path, clock, either);
  for (;;) {
    try {
      return await QmpClient.connect(options, either);
    } catch (error) {
      either.throwIfAborted();
      // It is bound a moment before it is listened to.
      if (!Failure.is(error, "unavailable")) throw error;
    }
    await clock.sleep(pollMs, either);
  }
}

/** A machine of its own user must be able to write what is its own. */
async function giveTo(spec: MachineSpec, host: MachineHost): Promise<void> {
  const { uid } = spec;
  if (!host.root) return;
  assert(uid !== undefined, "a root daemon gives each machine a user of its own");
  const own = [spec.directory, spec.socketDirectory];
  if (spec.memfile.mode === "build") own.push(spec.memfile.path);
  own.push(spec.rootDisk.kind === "raw" ? spec.rootDisk.path : path.join(spec.directory, spec.rootDisk.name));
  await Promise.all(own.map((each) => chown(each, uid, uid)));
}
