import { abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { isUnderWay } from "./outcomes.ts";
import type { Sandbox } from "./sandbox.ts";

/** How long a machine may take to connect its network card, or to disconnect it. */
const setMsMax = 10_000;

/**
 * Gives a sandbox its way to the internet, or takes it; one that sleeps is woken with it or without. Throws `conflict`
 * for one whose machine was started without a network: it has none to be given while it runs.
 */
export async function setInternetAccess(
  sandbox: Sandbox,
  allowed: boolean,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  await calm(sandbox, signal);
  const { guest, record } = sandbox;
  const isGiven = allowed && !record.allowInternet;
  if (isGiven && guest !== undefined && guest.internet === undefined) {
    const way = "pause it, give it access, and resume it";
    throw new Failure("conflict", `sandbox '${record.id}' was started without internet access: ${way}`);
  }
  using patience = deadline(clock, setMsMax, "changing the internet access of a sandbox", signal);
  // Whatever fails on the way, no guest has more than its record says.
  if (!allowed) await guest?.internet?.set(false, patience.signal);
  await sandbox.amend({ allowInternet: allowed });
  // Somebody else may have wished for something else meanwhile, or paused it: what the record says now is in force.
  await calm(sandbox, signal);
  await sandbox.guest?.internet?.set(sandbox.record.allowInternet, patience.signal);
}

/** Resolves when it runs or sleeps; throws `conflict` when it is ending. */
async function calm(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  while (isUnderWay(sandbox)) await abortable(sandbox.settled, signal);
  if (!sandbox.isThere) throw new Failure("conflict", `sandbox '${sandbox.record.id}' is ending`);
}
