import type { SandboxOptions } from "./sandbox-options.ts";
import type { EndReason } from "./sandbox-state.ts";

/** Logs and counts that a sandbox ends; once for each. */
export function reportEnd(
  { logger, meter }: Pick<SandboxOptions, "logger" | "meter">,
  id: string,
  why: EndReason,
  facts: object,
): void {
  logger[why === "lost" ? "warn" : "info"]({ sandbox: id, why, ...facts }, "a sandbox ends");
  meter.count("larder_sandboxes_ended_total", { why });
}
