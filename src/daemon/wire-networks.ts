import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { type LentUser, Networks } from "../network/networks.ts";
import { networkName } from "../network/remains.ts";
import { readSurroundings } from "../network/surroundings.ts";
import { openTunDevice } from "../network/tun-device.ts";
import { Failure } from "../base/failure.ts";
import type { EndsInOrder } from "./ends-in-order.ts";
import type { UidRange } from "../sandbox/uid-range.ts";
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
  const left = users === undefined ? new Map() : await usersOfLeft(premises.runDirectory, users);
  try {
    if (await openTunDevice())
      logger.info({}, "the device /dev/net/tun was opened to all users, as udev does");
    const networks = await Networks.open(
      {
        directory: premises.runDirectory,
        lendUser: users && (() => users.take()),
        retakeUser: (uid) => left.get(uid),
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

/** The users of networks whose sandboxes have lived on: taken before any network is made, so that none shares one. */
async function usersOfLeft(directory: string, users: UidRange): Promise<Map<number, LentUser>> {
  const left = new Map<number, LentUser>();
  for (const name of await readdir(directory)) {
    if (!networkName.test(name)) continue;
    const { uid } = await stat(path.join(directory, name));
    left.set(uid, users.retake(uid));
  }
  return left;
}
