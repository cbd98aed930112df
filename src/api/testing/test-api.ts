import { type Clock, systemClock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import { ApiServer, type ApiServerOptions } from "../api-server.ts";
import { arrivalLimits } from "../arrival.ts";
import type { SandboxLogEntry } from "../ports.ts";
import { FakeTemplates } from "./fake-templates.ts";
import { FakeSandboxes } from "./fake-sandboxes.ts";
import { FakeSnapshots } from "./fake-snapshots.ts";
import { LoopbackChannel } from "./loopback-channel.ts";

export const testKey = "e2b_0123456789abcdef";

/** The API over fakes, on a free port of this machine. */
export class TestApi implements AsyncDisposable {
  readonly channel = new LoopbackChannel();
  readonly sandboxes = new FakeSandboxes(this.channel);
  readonly snapshots = new FakeSnapshots(this.sandboxes);
  readonly meter = new MemoryMeter();
  /** What an operator sees of the node. */
  report: object = { builds: [] };
  /** What a collection removes. */
  collection: object = {};
  readonly pinned = new Set<string>();
  readonly evicted: string[] = [];
  /** What is known of sandboxes; the field `of` says of which. */
  readonly logEntries: SandboxLogEntry[] = [];
  #server: ApiServer | undefined;
  #scheme = "http";

  static async start(more: Partial<ApiServerOptions> = {}, clock: Clock = systemClock): Promise<TestApi> {
    const api = new TestApi();
    if (more.certificate !== undefined) api.#scheme = "https";
    api.#server = await ApiServer.listen({ ...api.#options(clock), ...more });
    return api;
  }

  get server(): ApiServer {
    if (this.#server === undefined) throw new Error("not started");
    return this.#server;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.server.port}`;
  }

  /** One request to the API, with the key unless `headers` say otherwise. */
  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const json: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    // Plain: to this machine itself the API speaks that, too, when it has a certificate.
    const answer = await fetch(`http://127.0.0.1:${this.server.port}${path}`, {
      method,
      headers: { "x-api-key": testKey, ...json, ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }

  #options(clock: Clock): ApiServerOptions {
    return {
      boundHost: "127.0.0.1",
      port: 0,
      closeMsMax: 200,
      arrival: arrivalLimits,
      startMsMax: 60_000,
      domain: undefined,
      version: "0.0.0",
      sandboxes: this.sandboxes,
      snapshots: this.snapshots,
      templates: new FakeTemplates(),
      logs: { of: async (id) => this.logEntries.filter(({ fields }) => fields["of"] === id) },
      keys: { allows: async (key) => key === testKey },
      inspect: { report: async () => this.report },
      admin: {
        clearBackoffs: () => 3,
        evict: async (build) => this.evicted.push(build) > 0,
        describe: (build) => ({ build, bytes: 7 }),
        verify: async () => ({ chunks: 4, damaged: 1 }),
        pin: async (build) => void this.pinned.add(build),
        collectGarbage: async (wish) => ({ ...this.collection, dryRun: wish.dryRun }),
        unpin: async (build) => void this.pinned.delete(build),
      },
      exposition: { contentType: "text/plain", text: async () => "larder_up 1\n" },
      clock,
      logger: silentLogger,
      meter: this.meter,
    };
  }
}
