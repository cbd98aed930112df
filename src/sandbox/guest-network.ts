import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { LentNetwork, Networks } from "../network/networks.ts";
import { networkName } from "../network/remains.ts";
import type { Machine } from "../machine/machine.ts";
import { netdevName } from "../machine/machine-spec.ts";
import type { InternetWay, StartOrder } from "./launcher.ts";
import { networkFile } from "./places.ts";

type Owner = Pick<StartOrder, "socketDirectory">;

/** The network of a guest that is to have one: a fresh one, or the one that its machine lives in already. */
export async function networkFor(
  order: StartOrder,
  networks: Pick<Networks, "take" | "retake"> | undefined,
  signal: AbortSignal,
): Promise<LentNetwork | undefined> {
  if (networks === undefined) return undefined;
  if (order.left === undefined) return order.allowInternet ? await networks.take(signal) : undefined;
  const name = notedNetwork(order);
  return name === undefined ? undefined : await networks.retake(name);
}

/** Notes the name of a sandbox's network, for whoever has to find it again. */
export async function noteNetwork(owner: Owner, name: string): Promise<void> {
  await writeFile(networkFile(owner), name);
}

/** Undefined when it has none. */
export function notedNetwork(owner: Owner): string | undefined {
  try {
    const name = readFileSync(networkFile(owner), "utf8");
    return networkName.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What a machine that has a network is disconnected from it by: its card has a carrier, or none. Whether it has one is
 * asked of the note: of a machine that was taken over, what it was started with is not known.
 */
export function internetWay(machine: Pick<Machine, "execute">, owner: Owner): InternetWay | undefined {
  if (notedNetwork(owner) === undefined) return undefined;
  const set = async (open: boolean, signal: AbortSignal) => {
    await machine.execute("set_link", { name: netdevName, up: open }, signal);
  };
  return { set };
}
