import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemRandom } from "../../base/random.ts";
import { AgentChannel } from "../channel.ts";
import type { OpenGuestBytes } from "../guest-bytes.ts";
import { koffiFile } from "../koffi-file.ts";
import { SerialPort } from "./serial-port.ts";

const program = fileURLToPath(new URL("./local-guest.ts", import.meta.url));

export interface LocalAgentOptions {
  /** Who processes belong to unless a request says otherwise; this process's user unless given. */
  readonly user?: string;
  /** Another program to run in its place, with the same arguments; and arguments for Node. */
  readonly program?: string;
  readonly nodeArguments?: readonly string[];
  /** Whether it lies behind a port that stays open when it dies, so that it may be started again. */
  readonly restartable?: boolean;
}

/** The guest program as a process of this host. Disposing of it ends it and removes its socket. */
export class LocalAgent implements AsyncDisposable {
  /** The Unix socket that stands for the machine's port. */
  readonly channelPath: string;
  /** What the first preamble must bear. */
  readonly secret: Buffer;
  readonly #start: () => Promise<ChildProcess>;
  readonly #directory: string;
  readonly #port: SerialPort | undefined;
  #child: ChildProcess;

  static async start(options: LocalAgentOptions = {}): Promise<LocalAgent> {
    const directory = await mkdtemp(join(tmpdir(), "larder-agent-"));
    const channelPath = join(directory, "channel");
    const secret = systemRandom.bytes(16);
    const { nodeArguments = [], user } = options;
    const port = options.restartable === true ? await SerialPort.listen(channelPath) : undefined;
    const guestPath = port === undefined ? channelPath : join(directory, "guest");
    const own = [guestPath, secret.toString("hex"), koffiFile(), ...(user === undefined ? [] : [user])];
    const start = async () => {
      await rm(guestPath, { force: true });
      const child = await started([...nodeArguments, options.program ?? program, ...own]);
      await port?.plug(guestPath);
      return child;
    };
    return new LocalAgent({ start, port, directory, channelPath, secret }, await start());
  }

  private constructor(parts: LocalAgentParts, child: ChildProcess) {
    this.#start = parts.start;
    this.#port = parts.port;
    this.#directory = parts.directory;
    this.#child = child;
    this.channelPath = parts.channelPath;
    this.secret = parts.secret;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Kills the program. What it started goes on, as it does in a machine. */
  async die(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  /** Starts it again, as the first process of a machine does. */
  async startAgain(): Promise<void> {
    this.#child = await this.#start();
  }

  /** Connects as the daemon does. Unless said otherwise the secret stays what it is. */
  async connect(
    signal: AbortSignal,
    { secret = this.secret, nextSecret = secret, guestBytes }: ConnectOptions = {},
  ): Promise<AgentChannel> {
    return await AgentChannel.connect(
      {
        path: this.channelPath,
        secret,
        nextSecret,
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
        ...(guestBytes === undefined ? {} : { guestBytes }),
      },
      signal,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#port?.[Symbol.asyncDispose]();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const started = await childrenOf(this.pid);
      await this.die();
      for (const group of started) endGroup(group); // As the end of a machine ends what runs in it.
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

interface ConnectOptions {
  readonly secret?: Buffer;
  readonly nextSecret?: Buffer;
  /** Missing: there are no lanes. */
  readonly guestBytes?: OpenGuestBytes;
}

interface LocalAgentParts {
  readonly start: () => Promise<ChildProcess>;
  readonly port: SerialPort | undefined;
  readonly directory: string;
  readonly channelPath: string;
  readonly secret: Buffer;
}

/** Runs Node with the guest program; resolves when that listens. */
async function started(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit").then(() => Promise.reject(new Error("the guest program ended at once")));
  exited.catch(() => {});
  await Promise.race([once(child.stdout, "data"), exited]);
  return child;
}

/** What the guest program started and nobody has ended yet; each leads a group of its own. */
async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return list.split(" ").filter(Boolean).map(Number);
}

function endGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
