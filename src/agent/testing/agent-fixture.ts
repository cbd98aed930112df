import { type Client, createClient } from "@connectrpc/connect";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { buffer } from "node:stream/consumers";
import { AgentClient, type AgentSettings } from "../agent-client.ts";
import type { AgentChannel } from "../channel.ts";
import { channelTransport } from "../channel-transport.ts";
import type { GuestAnswer, GuestRequest } from "../exchange.ts";
import type { GuestBytes } from "../guest-bytes.ts";
import { Filesystem } from "../protocol/generated/filesystem_pb.js";
import { Process } from "../protocol/generated/process_pb.js";
import { LocalAgent, type LocalAgentOptions } from "./local-agent.ts";

export interface FixtureOptions extends LocalAgentOptions {
  /** Gives the memory of the program, for files to pass by; missing: they pass by the channel. */
  readonly bytesOf?: (pid: number) => GuestBytes;
}

/** A guest program on this host, a channel to it, and clients of its services. */
export class AgentFixture implements AsyncDisposable {
  readonly agent: LocalAgent;
  readonly channel: AgentChannel;
  readonly client: AgentClient;
  readonly processes: Client<typeof Process>;
  readonly files: Client<typeof Filesystem>;

  static async start(options: FixtureOptions = {}): Promise<AgentFixture> {
    const agent = await LocalAgent.start(options);
    const { bytesOf } = options;
    const lanes = bytesOf && { guestBytes: async () => bytesOf(agent.pid) };
    const fixture = new AgentFixture(agent, await agent.connect(patience(), lanes));
    await fixture.init();
    return fixture;
  }

  /** Login shells find no profile in an empty home: what this host's user has there is no part of a test. */
  async init(more: Partial<AgentSettings> = {}): Promise<void> {
    const { username: defaultUser } = userInfo();
    const bootId = "0b29aa0e-1111-4111-8111-0123456789ab";
    const common = { nowMs: Date.now(), entropy: Buffer.alloc(64, 1), hostname: "i0", defaultUser, bootId };
    const envVars = { HOME: dirname(this.agent.channelPath), ...more.envVars };
    await this.client.init({ ...common, ...more, envVars }, patience());
  }

  private constructor(agent: LocalAgent, channel: AgentChannel) {
    this.agent = agent;
    this.channel = channel;
    this.client = new AgentClient(channel);
    this.processes = createClient(Process, channelTransport(channel));
    this.files = createClient(Filesystem, channelTransport(channel));
  }

  /** One request and all of its answer. */
  async ask(
    request: Partial<GuestRequest> & { path: string },
    signal: AbortSignal = patience(),
  ): Promise<Omit<GuestAnswer, "body"> & { body: Buffer }> {
    const answer = await this.channel.request({ method: "GET", headers: {}, ...request }, signal);
    return { ...answer, body: await buffer(answer.body) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close();
    await this.agent[Symbol.asyncDispose]();
  }
}

/** Longer than anything here takes; a test that waits for it has failed. */
export function patience(): AbortSignal {
  return AbortSignal.timeout(20_000);
}
