import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Served } from "../machine/testing/served.ts";
import { disagreements } from "./disagreements.ts";

/** All that a daemon says of its sandboxes must be so, so soon after something went wrong. */
const agreeMsMax = 10_000;
const pollMs = 50;

/** Asserts that store, machines and disk agree within ten seconds. */
export async function assertAgreement(served: Served, beganMs = performance.now()): Promise<void> {
  const tookMs = () => Math.round(performance.now() - beganMs);
  for (;;) {
    const found = await disagreements(served);
    if (found.length === 0) break;
    if (tookMs() > agreeMsMax) assert.fail(`after ${tookMs()} ms: ${found.join("; ")}`);
    await pause(pollMs);
  }
}
