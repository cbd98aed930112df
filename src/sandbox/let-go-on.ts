import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import type { Guest } from "./launcher.ts";

/** How long a stopped machine may take to run again. */
const goOnMsMax = 10_000;

/** Lets a guest that was stopped run again, whoever has given up waiting for what it was stopped for. */
export async function letGoOn(guest: Pick<Guest, "goOn">, clock: Clock): Promise<void> {
  using patience = deadline(clock, goOnMsMax, "letting a machine go on");
  await guest.goOn(patience.signal);
}
