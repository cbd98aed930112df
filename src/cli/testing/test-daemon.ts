import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { TestApi, testKey } from "../../api/testing/test-api.ts";
import { announce } from "../../daemon/presence.ts";
import { commandLine } from "../command-line.ts";
import { TestTerminal } from "./test-terminal.ts";

/** An API over fakes that the command line finds as it finds a daemon: by what lies in its data directory. */
export class TestDaemon implements AsyncDisposable {
  readonly api: TestApi;
  readonly data: string;
  readonly #held = new AsyncDisposableStack();

  private constructor(api: TestApi, data: string) {
    this.api = api;
    this.data = data;
  }

  static async start(): Promise<TestDaemon> {
    const data = await mkdtemp(path.join(tmpdir(), "larder-cli-"));
    const api = await TestApi.start();
    const daemon = new TestDaemon(api, data);
    daemon.#held.defer(() => rm(data, { recursive: true }));
    daemon.#held.use(api);
    await writeFile(path.join(data, "api-key"), `${testKey}\n`);
    daemon.#held.use(await announce(data, api.url, "0.0.0"));
    return daemon;
  }

  /** One whose commands find this daemon. */
  terminal(signal?: AbortSignal, stdin?: readonly string[]): TestTerminal {
    return new TestTerminal({ LARDER_DATA: this.data, HOME: this.data }, signal, stdin);
  }

  /** Runs `larder ARGUMENTS` against it. */
  async larder(
    args: readonly string[],
    signal?: AbortSignal,
    stdin?: readonly string[],
  ): Promise<{ code: number; terminal: TestTerminal }> {
    const terminal = this.terminal(signal, stdin);
    return { code: await commandLine(args, terminal), terminal };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}
