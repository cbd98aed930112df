import type { AgentChannel } from "../agent/channel.ts";
import type { BuildParts } from "../build/make-build.ts";

/** The way into a guest: requests to its agent, and its TCP ports. */
export type GuestChannel = Pick<AgentChannel, "request" | "connectPort">;

export interface ProcessIdentity {
  readonly pid: number;
  /** As the kernel counts it: a pid alone may belong to another process by now. */
  readonly startTime: string;
}

/** Where a sandbox keeps its things, and who runs it: all that is needed to find what is left of one. */
export interface Remains {
  readonly id: string;
  readonly directory: string;
  readonly socketDirectory: string;
  readonly process?: ProcessIdentity;
}

/** A machine that runs on without the daemon that started it, and what its agent accepts. */
export interface LeftMachine {
  readonly process: ProcessIdentity;
  readonly channelSecret: Buffer;
}

/** What a machine is started from, before anybody has to know whose it will be. */
export interface StartOrder {
  readonly id: string;
  readonly build: string;
  readonly how: "restore" | "boot";
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Whether the guest gets a way to the internet, where this host has one to give. */
  readonly allowInternet: boolean;
  /** Its machine runs already, and is to be taken over: nothing of it is made anew. */
  readonly left?: LeftMachine;
  /** Of this sandbox alone, and not there yet unless its machine is. */
  readonly directory: string;
  readonly socketDirectory: string;
  /** The user that the machine runs as, where the daemon is root. */
  readonly uid: number | undefined;
}

export interface LaunchOrder extends StartOrder {
  /** Of the template that the sandbox was started from. */
  readonly templateId: string;
  readonly envs: Readonly<Record<string, string>>;
  /** What the agent asks of its callers; undefined leaves it open. */
  readonly accessToken: string | undefined;
  /** Called as soon as there is a process: if this one ends now, the next one must find it. */
  readonly onProcess: (process: ProcessIdentity) => void;
}

export interface CaptureOrder {
  /** Empty, and the daemon's own: gets what is copied. */
  readonly directory: string;
  /** False: the disk alone, written out by the guest before. */
  readonly memory: boolean;
}

/** The way of a guest to the internet. */
export interface InternetWay {
  /** Opens or closes it. What was connected before is cut off meanwhile. */
  set(open: boolean, signal: AbortSignal): Promise<void>;
}

/** A virtual machine whose agent answers. Disposing of it ends it and removes all of it. */
export interface Guest extends AsyncDisposable {
  readonly channel: GuestChannel;
  /** What opens the channel anew. */
  readonly channelSecret: Buffer;
  /** False from the moment on in which its machine is no more, before anybody was told. */
  isAlive(): boolean;
  /** It waits for its disk, which cannot be read. */
  isStalled(): boolean;
  /** Stops it and copies what it changed of its build. It stays stopped, also when that fails: dispose, or `goOn`. */
  capture(order: CaptureOrder, signal: AbortSignal): Promise<BuildParts>;
  /** Undefined when no way leads to the internet from its machine, open or not. */
  readonly internet: InternetWay | undefined;
  /** Lets it run again. */
  goOn(signal: AbortSignal): Promise<void>;
  /** Lets go of it: its machine runs on, for the next daemon to take over. */
  leave(): Promise<void>;
  /** Resolves, with the last words, when it ends or can no longer be reached. */
  readonly lost: Promise<string>;
}

/** A machine that is nobody's yet. Disposing of it ends and removes all of it. */
export interface StartedMachine extends AsyncDisposable {
  /** Resolves when it has ended by itself. */
  readonly exited: Promise<unknown>;
  /**
   * Lets it run until its agent answers, and stops it: `wake` has less to do then. Rejects as `wake` does. A guest
   * whose memory is not whole on this node yet is left as it is.
   */
  doze(signal: AbortSignal): Promise<void>;
  /**
   * Lets it run as the sandbox whose id and places it was started with; once. Resolves when the agent answers. Rejects
   * when nothing of it is left, but for what could not be removed.
   */
  wake(order: LaunchOrder, signal: AbortSignal): Promise<Guest>;
}

/** What a sandbox needs of the rooms below, so that its life can be tested without virtual machines. */
export interface Launcher {
  /** Starts a machine and wakes it, both as `StartedMachine` says. */
  launch(order: LaunchOrder, signal: AbortSignal): Promise<Guest>;
  /** Starts a machine for somebody who is not known yet. */
  start(order: StartOrder, signal: AbortSignal): Promise<StartedMachine>;
  /** Ends and removes whatever is left of a sandbox; silent when nothing is. */
  reap(remains: Remains): Promise<void>;
}
