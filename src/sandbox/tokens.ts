import { createHmac } from "node:crypto";

/**
 * The token that a sandbox's agent asks for, hex. Derived, not stored: after a restart it is the same, and who has
 * one cannot make another.
 */
export function accessTokenOf(seed: Buffer, sandboxId: string): string {
  return tokenOf("access", seed, sandboxId);
}

/** The token that opens the ports of a sandbox that is not public; made like the other one, and as lasting. */
export function trafficTokenOf(seed: Buffer, sandboxId: string): string {
  return tokenOf("traffic", seed, sandboxId);
}

function tokenOf(purpose: string, seed: Buffer, sandboxId: string): string {
  return createHmac("sha256", seed).update(`${purpose}:${sandboxId}`).digest("hex");
}
