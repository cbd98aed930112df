import { deadline } from "../base/deadline.ts";
import { silentTracer } from "../base/tracer.ts";
import { resumption } from "./resumption.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxesOptions } from "./sandboxes-options.ts";
import type { Awakening } from "./tenancy.ts";

export interface WakeWish extends Pick<Awakening, "berth"> {
  readonly timeoutMs: number;
  /** From its disk, although it may have memory. */
  readonly reboot: boolean;
}

type WakeTools = Pick<SandboxesOptions, "snapshots" | "host" | "clock" | "logger" | "meter" | "tracer">;

/** Whoever is woken by traffic lives at least so long. */
export const wokenByTrafficMsMin = 300_000;
/** How long waking a sandbox may take, whoever waits for it. */
const wakeMsMax = 120_000;

/** Wakes a sandbox that sleeps, within a bound of its own; begins in the same moment. */
export async function wake(
  sandbox: Sandbox,
  { timeoutMs, reboot, berth }: WakeWish,
  { snapshots, host, clock, logger, meter, tracer = silentTracer }: WakeTools,
  signal: AbortSignal,
): Promise<void> {
  const { record } = sandbox;
  const began = clock.monotonic();
  using limit = deadline(clock, wakeMsMax, `waking sandbox '${record.id}'`, signal);
  const how = () => resumption(record, reboot, snapshots, host);
  const start = () => sandbox.start({ how, timeoutMs: () => timeoutMs, berth }, limit.signal);
  await tracer.span("resume", { sandbox: record.id }, start);
  logger.info({ sandbox: record.id }, "a sandbox is awake");
  meter.observe("larder_resume_seconds", (clock.monotonic() - began) / 1000);
}
