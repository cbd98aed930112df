import { spawn as spawnChild } from "node:child_process";
import { closeSync, fchownSync } from "node:fs";
import { Socket } from "node:net";
import { Failure } from "../../base/failure.ts";
import type { AsUser } from "./credentials.ts";
import type { Pipe } from "./pipes.ts";
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
}

export interface Spawned {
  readonly pid: number;
  readonly stdin: Socket | undefined;
  readonly stdout: Socket;
  readonly stderr: Socket;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export interface Spawner {
  readonly asUser: AsUser;
  readonly makePipe: () => Pipe;
}

/** Starts a program as a user, in a process group of its own. Throws `invalid` when it cannot be started. */
export async function spawn(launch: Launch, { asUser, makePipe }: Spawner): Promise<Spawned> {
  const { command, args, env, cwd, user } = launch;
  using ours = new Descriptors();
  using theirs = new Descriptors();
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
  const exited = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>();
  child.once("exit", (code, signal) => exited.resolve({ code, signal }));
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) => reject(new Failure("invalid", wordsFor(cause, launch), { cause })));
  });
  ours.keep();
  const [stdout, stderr] = outputs.map(
    ({ readEnd }) => new Socket({ fd: readEnd, readable: true, writable: false }),
  );
  return {
    pid: child.pid ?? -1,
    stdin: stdin && new Socket({ fd: stdin.writeEnd, readable: false, writable: true }),
    stdout: stdout as Socket,
    stderr: stderr as Socket,
    exited: exited.promise,
  };
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
