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
import { koffiFile } from "../koffi-file.ts";

const program = fileURLToPath(new URL("./local-guest.ts", import.meta.url));

export interface LocalAgentOptions {
  /** Who processes belong to unless a request says otherwise; this process's user unless given. */
  readonly user?: string;
  /** Another program to run in its place, with the same arguments; and arguments for Node. */
  readonly program?: string;
  readonly nodeArguments?: readonly string[];
}

/** The guest program as a process of this host. Disposing of it ends it and removes its socket. */
export class LocalAgent implements AsyncDisposable {
  /** The Unix socket that stands for the machine's port. */
  readonly channelPath: string;
  /** What the first preamble must bear. */
  readonly secret: Buffer;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #directory: string;

  static async start(options: LocalAgentOptions = {}): Promise<LocalAgent> {
    const directory = await mkdtemp(join(tmpdir(), "larder-agent-"));
    const channelPath = join(directory, "channel");
    const secret = systemRandom.bytes(16);
    const { nodeArguments = [], user } = options;
    const own = [channelPath, secret.toString("hex"), koffiFile(), ...(user === undefined ? [] : [user])];
    const child = spawn(process.execPath, [...nodeArguments, options.program ?? program, ...own], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const agent = new LocalAgent(child, directory, channelPath, secret);
    const exited = once(child, "exit").then(() =>
      Promise.reject(new Error("the guest program ended at once")),
    );
    await Promise.race([once(child.stdout as NonNullable<ChildProcess["stdout"]>, "data"), exited]);
    exited.catch(() => {});
    return agent;
  }

  private constructor(child: ChildProcess, directory: string, channelPath: string, secret: Buffer) {
    this.#child = child;
    this.#directory = directory;
    this.channelPath = channelPath;
    this.secret = secret;
    this.pid = child.pid ?? -1;
  }

  /** Connects as the daemon does. Unless said otherwise the secret stays what it is. */
  async connect(
    signal: AbortSignal,
    { secret = this.secret, nextSecret = secret }: { secret?: Buffer; nextSecret?: Buffer } = {},
  ): Promise<AgentChannel> {
    return await AgentChannel.connect(
      {
        path: this.channelPath,
        secret,
        nextSecret,
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
      },
      signal,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const started = await childrenOf(this.pid);
      const exited = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await exited;
      for (const group of started) endGroup(group); // As the end of a machine ends what runs in it.
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
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
