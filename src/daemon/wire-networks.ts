import { Networks } from "../network/networks.ts";
import { readSurroundings } from "../network/surroundings.ts";
import { openTunDevice } from "../network/tun-device.ts";
import { Failure } from "../base/failure.ts";
import type { EndsInOrder } from "./ends-in-order.ts";
import { type Ground, usersFor } from "./wiring.ts";

/** More than this are never made beforehand, however many sandboxes may start at once. */
const readyMax = 8;

/** The networks of sandboxes. Where this host can have none the daemon says so, and its guests stay without. */
export async function wireNetworks(
  ground: Ground,
  ends: EndsInOrder,
  signal: AbortSignal,
): Promise<Networks | undefined> {
  const { configuration, premises, clock, random, logger, metrics: meter } = ground;
  const users = process.getuid?.() === 0 ? usersFor(configuration.data, "networks") : undefined;
  try {
    if (await openTunDevice())
      logger.info({}, "the device /dev/net/tun was opened to all users, as udev does");
    const networks = await Networks.open(
      {
        directory: premises.runDirectory,
        lendUser: users && (() => users.take()),
        retakeUser: users && ((uid) => users.retake(uid)),
        readyMax: Math.min(configuration.restoresMax, readyMax),
        surroundings: readSurroundings,
        ...{ clock, random, logger, meter },
      },
      signal,
    );
    networks.fill();
    return ends.hold("networks", networks);
  } catch (error) {
    signal.throwIfAborted();
    const because = Failure.from(error).message;
    logger.warn(
      { because },
      "guests get no way to the internet on this host; 'larder doctor' says what is missing",
    );
    return undefined;
  }
}
