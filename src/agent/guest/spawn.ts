import { type ChildProcess, spawn as spawnChild } from "node:child_process";
import { accessSync, closeSync, constants, fchownSync } from "node:fs";
import { Socket } from "node:net";
import { resolve } from "node:path";
import { ReadStream } from "node:tty";
import { Failure } from "../../base/failure.ts";
import type { AsUser } from "./credentials.ts";
import type { Pipe } from "./pipes.ts";
import type { TerminalSize, Terminals } from "./terminals.ts";
import type { User } from "./users.ts";

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** All of the environment: nothing of the agent's own is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: User;
  /** False: standard input is /dev/null. */
  readonly stdin: boolean;
  /** The size of a terminal that takes the place of all three standard streams. */
  readonly terminal?: TerminalSize | undefined;
}

export interface Output {
  readonly kind: "stdout" | "stderr" | "pty";
  readonly stream: Socket;
}

export interface Spawned {
  readonly pid: number;
  readonly stdin?: Socket | undefined;
  readonly terminal?: { readonly stream: Socket; resize(size: TerminalSize): void };
  readonly outputs: readonly Output[];
  readonly exited: Promise<Exit>;
  /** Another agent started it, and has died: its streams are closed. */
  readonly isLeft?: true;
}

/** Neither is known of a process that was another's child. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Spawner {
  readonly asUser: AsUser;
  readonly makePipe: () => Pipe;
  readonly terminals: Terminals;
  /** The words of a command before which a program's own make its standard input the terminal that controls it. */
  readonly inTerminal: readonly [string, ...string[]];
}

/**
 * Starts a program as a user, in a process group of its own or, with a terminal, in a session of its own. Throws
 * `invalid` when it cannot be started.
 */
export async function spawn(launch: Launch, spawner: Spawner): Promise<Spawned> {
  using ours = new Descriptors();
  using theirs = new Descriptors();
  return launch.terminal === undefined
    ? await onPipes(launch, spawner, ours, theirs)
    : await onTerminal(launch, launch.terminal, spawner, ours, theirs);
}

async function onPipes(
  launch: Launch,
  { asUser, makePipe }: Spawner,
  ours: Descriptors,
  theirs: Descriptors,
): Promise<Spawned> {
  const { command, args, env, cwd, user } = launch;
  const stdin = launch.stdin ? makePipe() : undefined;
  if (stdin !== undefined) {
    theirs.add(stdin.readEnd, user);
    ours.add(stdin.writeEnd);
  }
  const outputs = [makePipe(), makePipe()].map(({ readEnd, writeEnd }) => {
    ours.add(readEnd);
    theirs.add(writeEnd, user);
    return { readEnd, writeEnd };
  });
  const stdio = [stdin?.readEnd ?? "ignore", ...outputs.map(({ writeEnd }) => writeEnd)] as const;
  const child = asUser(user, () =>
    spawnChild(command, args, { env: { ...env }, cwd, stdio: [...stdio], detached: true }),
  );
  const exited = exitOf(child);
  const pid = await startOf(child, launch);
  ours.keep();
  const streams = outputs.map(({ readEnd }) => new Socket({ fd: readEnd, readable: true, writable: false }));
  const [stdout, stderr] = streams as [Socket, Socket];
  return {
    pid,
    stdin: stdin && new Socket({ fd: stdin.writeEnd, readable: false, writable: true }),
    outputs: [
      { kind: "stdout", stream: stdout },
      { kind: "stderr", stream: stderr },
    ],
    exited,
  };
}

/** By way of a program that makes the session: only a process that has one can be given its terminal. */
async function onTerminal(
  launch: Launch,
  size: TerminalSize,
  { asUser, terminals, inTerminal }: Spawner,
  ours: Descriptors,
  theirs: Descriptors,
): Promise<Spawned> {
  const { command, args, env, cwd, user } = launch;
  const { ourEnd, theirEnd } = terminals.make(user, size);
  ours.add(ourEnd);
  theirs.add(theirEnd);
  const [program, ...words] = inTerminal;
  const stdio = [theirEnd, theirEnd, theirEnd];
  const child = asUser(user, () => {
    checkProgram(launch);
    return spawnChild(program, [...words, command, ...args], { env: { ...env }, cwd, stdio });
  });
  const exited = exitOf(child);
  const pid = await startOf(child, launch);
  ours.keep();
  const stream: Socket = new ReadStream(ourEnd);
  const resize = (size: TerminalSize) => terminals.resize(ourEnd, size);
  return { pid, terminal: { stream, resize }, outputs: [{ kind: "pty", stream }], exited };
}

/** Throws `invalid` when a path leads to nothing that can be executed: the program between would say it to nobody. */
function checkProgram(launch: Launch): void {
  const { command, cwd } = launch;
  try {
    if (command.includes("/")) accessSync(resolve(cwd, command), constants.X_OK);
  } catch (cause) {
    throw new Failure("invalid", wordsFor(cause as Error, launch), { cause });
  }
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  return await new Promise((settle) => {
    child.once("exit", (code, signal) => settle({ code, signal }));
  });
}

/** Resolves with the pid of a child that was started. */
async function startOf(child: ChildProcess, launch: Launch): Promise<number> {
  await new Promise<void>((settle, reject) => {
    child.once("spawn", settle);
    child.once("error", (cause) => reject(new Failure("invalid", wordsFor(cause, launch), { cause })));
  });
  return child.pid ?? -1;
}

/** Descriptors that are closed at the end of a scope, unless they were kept. */
class Descriptors implements Disposable {
  #list: number[] = [];

  /** What the user's program holds is made the user's, so that it can open it again by /dev/stdout and the like. */
  add(fd: number, owner?: User): void {
    this.#list.push(fd);
    if (owner !== undefined && process.getuid?.() === 0) fchownSync(fd, owner.uid, owner.gid);
  }

  keep(): void {
    this.#list = [];
  }

  [Symbol.dispose](): void {
    for (const fd of this.#list) closeSync(fd);
  }
}

function wordsFor(cause: Error, { command, user }: Launch): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "ENOENT") return `error starting process '${command}': no such program`;
  if (code === "EACCES") return `error starting process '${command}': '${user.name}' may not execute it`;
  return `error starting process '${command}': ${cause.message}`;
}
