import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Failure } from "../base/failure.ts";

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to the command's standard input; without it that is empty. */
  readonly input?: string;
  /** Called with every line of standard error and, unless it is collected, standard output. */
  readonly onLine?: (line: string) => void;
  /**
   * Runs it as root: for an ordinary user, root of a user namespace with the users that /etc/subuid lends. Files of
   * those users can only be deleted this way again.
   */
  readonly asRoot?: boolean;
}

/** How many of its last lines a failed command is quoted with. */
const lastLinesMax = 6;

/**
 * Runs a program to its end and returns what it printed on standard output.
 * Throws `not_found` when there is no such program, `internal` with its last words when it fails;
 * when the signal aborts, it and what it started are killed, and the signal's reason is thrown once all have ended.
 * Some programs (mmdebstrap) would pay no heed to a gentler signal, or to one sent to them alone.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
  signal: AbortSignal,
): Promise<Buffer> {
  signal.throwIfAborted();
  const env = { ...process.env, LC_ALL: "C.UTF-8", PATH: searchedFolders(), ...options.env };
  const [program, programArgs] = options.asRoot === true ? asRoot(command, args) : [command, args];
  const child = spawn(program, programArgs, {
    env,
    detached: true, // Its process group is its own, so that it can be killed whole.
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const lastLines: string[] = [];
  const onLine = (line: string) => {
    if (line.trim() !== "") lastLines.push(line);
    if (lastLines.length > lastLinesMax) lastLines.shift();
    options.onLine?.(line);
  };
  createInterface({ input: child.stderr }).on("line", onLine);
  const output: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => output.push(piece));
  if (options.onLine !== undefined) createInterface({ input: child.stdout }).on("line", onLine);
  // A program that does not read its input ends early, which is its own affair: its exit code tells.
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const stop = () => killGroup(child.pid);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const ended = await endOf(child, command);
    signal.throwIfAborted();
    if (ended !== undefined) throw new Failure("internal", `${command} ${ended}: ${lastLines.join(" | ")}`);
    return Buffer.concat(output);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // It has ended by itself.
  }
}

function asRoot(command: string, args: readonly string[]): [string, readonly string[]] {
  if (process.getuid?.() === 0) return [command, args];
  return ["unshare", ["--mount", "--map-auto", "--map-root-user", "--", command, ...args]];
}

/** Resolves to undefined when it ended well, else to how it ended. */
function endOf(child: ReturnType<typeof spawn>, command: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    child.on("error", (error: NodeJS.ErrnoException) => {
      const missing = error.code === "ENOENT";
      const sentence = missing
        ? `${command} is not installed: run \`node bin/install.mjs\``
        : `${command} cannot be started`;
      reject(new Failure(missing ? "not_found" : "internal", sentence, { cause: error }));
    });
    child.on("close", (code, killedBy) => {
      if (code === 0) resolve(undefined);
      else resolve(killedBy === null ? `failed with exit code ${code}` : `was ended by ${killedBy}`);
    });
  });
}

/** An ordinary user's PATH lacks the folders in which mke2fs and debugfs lie. */
function searchedFolders(): string {
  return `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin`;
}
