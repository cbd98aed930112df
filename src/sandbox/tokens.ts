import { createHmac } from "node:crypto";

/**
 * The token that a sandbox's agent asks for, hex. Derived, not stored: after a restart it is the same, and who has
 * one cannot make another.
 */
export function accessTokenOf(seed: Buffer, sandboxId: string): string {
  return createHmac("sha256", seed).update(`access:${sandboxId}`).digest("hex");
}
