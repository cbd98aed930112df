import type { Readable } from "node:stream";
import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import type { SandboxView } from "../sandbox/sandbox-view.ts";
import type { SandboxService } from "./ports.ts";

/** What a guest was used to at one moment; memory and disk in bytes. */
export const metric = z.object({
  timestamp: z.iso.datetime(),
  timestampUnix: z.int(),
  cpuCount: z.number(),
  cpuUsedPct: z.number(),
  memUsed: z.number(),
  memTotal: z.number(),
  memCache: z.number(),
  diskUsed: z.number(),
  diskTotal: z.number(),
});

export type Metric = z.output<typeof metric>;

/** The answer of the agent to `GET /metrics`. */
const usage = z.object({
  cpu_count: z.number(),
  cpu_used_pct: z.number(),
  mem_used: z.number(),
  mem_total: z.number(),
  mem_cache: z.number(),
  disk_used: z.number(),
  disk_total: z.number(),
});

/** Who asks more often gets what was said before. */
const freshMs = 5000;
const askMsMax = 5000;
const answerBytesMax = 64 * 1024;
/** An hour of somebody who looks all the time. */
const metricsMax = 720;
const sandboxesMax = 1000;

export interface GuestMetricsOptions {
  readonly sandboxes: Pick<SandboxService, "channel">;
  readonly clock: Clock;
}

/**
 * What guests say of themselves, asked when somebody wants to know: a sandbox that nobody looks at costs nothing, and
 * its past is not known. What was asked before is remembered as long as there is room.
 */
export class GuestMetrics {
  readonly #options: GuestMetricsOptions;
  readonly #known = new Map<string, Metric[]>();

  constructor(options: GuestMetricsOptions) {
    this.#options = options;
  }

  /** The oldest first. Of a guest that sleeps or does not answer, what is known of it. */
  async of(view: SandboxView, signal: AbortSignal): Promise<readonly Metric[]> {
    const known = this.#known.get(view.id) ?? [];
    const { clock } = this.#options;
    const age = clock.now() - Date.parse(known.at(-1)?.timestamp ?? new Date(0).toISOString());
    if (view.state !== "running" || (age >= 0 && age < freshMs)) return known;
    const now = await this.#ask(view, signal).catch(() => undefined);
    if (now === undefined) return known;
    const all = [...known, now].slice(-metricsMax);
    this.#known.delete(view.id);
    this.#known.set(view.id, all);
    const [oldest] = this.#known.keys();
    if (this.#known.size > sandboxesMax && oldest !== undefined) this.#known.delete(oldest);
    return all;
  }

  async #ask({ id, accessToken }: SandboxView, signal: AbortSignal): Promise<Metric> {
    const { sandboxes, clock } = this.#options;
    using limit = deadline(clock, askMsMax, "asking the guest for its metrics", signal);
    const headers: Record<string, string> =
      accessToken === undefined ? {} : { "x-access-token": accessToken };
    const question = { method: "GET", path: "/metrics", headers };
    const { status, body } = await sandboxes.channel(id).request(question, limit.signal);
    const said = await textOf(body);
    if (status !== 200) throw new Failure("unavailable", `the agent answered ${status}`);
    return toMetric(usage.parse(JSON.parse(said)), clock.now());
  }
}

async function textOf(body: Readable): Promise<string> {
  let said = "";
  for await (const bytes of body as AsyncIterable<Buffer>) {
    said += bytes.toString("utf8");
    if (said.length > answerBytesMax) break; // Leaving the loop destroys the body.
  }
  return said;
}

function toMetric(said: z.output<typeof usage>, nowMs: number): Metric {
  return {
    timestamp: new Date(nowMs).toISOString(),
    timestampUnix: Math.floor(nowMs / 1000),
    cpuCount: said.cpu_count,
    cpuUsedPct: said.cpu_used_pct,
    memUsed: said.mem_used,
    memTotal: said.mem_total,
    memCache: said.mem_cache,
    diskUsed: said.disk_used,
    diskTotal: said.disk_total,
  };
}
