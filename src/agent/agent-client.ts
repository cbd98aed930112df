import { create, toJsonString } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import type { Readable } from "node:stream";
import { Failure } from "../base/failure.ts";
import { channelTransport } from "./channel-transport.ts";
import type { GuestRequest, RequestChannel } from "./exchange.ts";
import { AgentSettingsSchema } from "./protocol/generated/control_pb.js";
import { Process } from "./protocol/generated/process_pb.js";

export interface AgentSettings {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  /** At least 32 bytes that nobody can guess. */
  readonly entropy: Buffer;
  readonly hostname: string;
  /** Missing: the agent asks for none. */
  readonly accessToken?: string;
  readonly envVars: Readonly<Record<string, string>>;
  readonly defaultUser: string;
  /** Missing: the home of whoever starts a process. */
  readonly defaultWorkdir?: string;
  /** The UUID that the guest shows as its boot id. */
  readonly bootId: string;
}

export interface RunOptions {
  /** Missing: the default user. */
  readonly user?: string;
  readonly envs?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly onStdout?: (bytes: Uint8Array) => void;
  readonly onStderr?: (bytes: Uint8Array) => void;
}

export interface RunResult {
  /** -1 when a signal ended the command. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `run` keeps no more than this of each of a command's two streams. */
const outputBytesMax = 16 * 1024 * 1024;

/** What the daemon itself asks of an agent. */
export class AgentClient {
  readonly #channel: RequestChannel;
  readonly #processes: Client<typeof Process>;
  #accessToken: string | undefined;

  constructor(channel: RequestChannel, accessToken?: string) {
    this.#channel = channel;
    this.#accessToken = accessToken;
    this.#processes = createClient(Process, channelTransport(channel));
  }

  /** Resolves when the agent answers that it is well. */
  async health(signal: AbortSignal): Promise<void> {
    await this.#expect204({ method: "GET", path: "/health", headers: {} }, signal);
  }

  /** To be sent after each boot and restore, before anybody else is let in. */
  async init(settings: AgentSettings, signal: AbortSignal): Promise<void> {
    const { nowMs, envVars, ...rest } = settings;
    const message = create(AgentSettingsSchema, {
      ...rest,
      nowMs: BigInt(Math.round(nowMs)),
      envVars: { ...envVars },
    });
    const body = Buffer.from(toJsonString(AgentSettingsSchema, message));
    const headers = { "content-type": "application/json" };
    await this.#expect204({ method: "POST", path: "/init", headers, body }, signal);
    this.#accessToken = settings.accessToken;
  }

  /** Runs `cmd` in a login shell and resolves when it has ended, whatever its exit code. */
  async run(cmd: string, options: RunOptions, signal: AbortSignal): Promise<RunResult> {
    const config = { cmd: "/bin/bash", args: ["-l", "-c", cmd], envs: { ...options.envs } };
    const process = options.cwd === undefined ? config : { ...config, cwd: options.cwd };
    const events = this.#processes.start(
      { process, stdin: false },
      { signal, headers: this.#headers(options) },
    );
    const stdout = new Output(options.onStdout);
    const stderr = new Output(options.onStderr);
    try {
      for await (const { event } of events) {
        if (event?.event.case === "data") {
          const { output } = event.event.value;
          if (output.case === "stdout") stdout.add(output.value);
          if (output.case === "stderr") stderr.add(output.value);
        }
        if (event?.event.case === "end") {
          return { exitCode: event.event.value.exitCode, stdout: stdout.text(), stderr: stderr.text() };
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      throw new Failure("unavailable", `the guest did not run "${cmd}" to its end`, { cause: error });
    }
    throw new Failure("unavailable", `the guest never told how "${cmd}" ended`);
  }

  #headers({ user }: RunOptions): Headers {
    const headers = new Headers();
    if (this.#accessToken !== undefined) headers.set("x-access-token", this.#accessToken);
    if (user !== undefined) {
      headers.set("authorization", `Basic ${Buffer.from(`${user}:`).toString("base64")}`);
    }
    return headers;
  }

  async #expect204(request: GuestRequest, signal: AbortSignal): Promise<void> {
    const { status, body } = await this.#channel.request(request, signal);
    const said = await textOf(body);
    if (status === 204) return;
    throw new Failure("unavailable", `the agent answered ${request.path} with ${status}: ${said}`);
  }
}

/** What a guest says in an error: a line, not a flood. */
async function textOf(body: Readable): Promise<string> {
  let said = "";
  for await (const bytes of body as AsyncIterable<Buffer>) {
    said += bytes.toString("utf8");
    if (said.length >= 500) break; // Leaving the loop destroys the body.
  }
  return said.slice(0, 500);
}

class Output {
  readonly #chunks: Uint8Array[] = [];
  readonly #listener: ((bytes: Uint8Array) => void) | undefined;
  #bytes = 0;

  constructor(listener: ((bytes: Uint8Array) => void) | undefined) {
    this.#listener = listener;
  }

  add(bytes: Uint8Array): void {
    this.#listener?.(bytes);
    if (this.#bytes >= outputBytesMax) return;
    this.#bytes += bytes.length;
    this.#chunks.push(bytes);
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString("utf8");
  }
}
