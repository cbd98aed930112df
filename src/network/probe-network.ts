import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { Network } from "./network.ts";
import { readSurroundings } from "./surroundings.ts";
import { openTunDevice } from "./tun-device.ts";

export interface Finding {
  readonly found: string;
  /** Missing when nothing has to be mended. */
  readonly mend?: string;
}

/** The user that has no files of its own. */
const nobody = 65534;

/** Whether this host can give sandboxes a way to the internet: makes one network, and ends it. */
export async function probeNetwork(signal: AbortSignal): Promise<Finding> {
  const { denied, uplink } = readSurroundings();
  if (!uplink) return { found: "none: the host has no default route, so its guests have no way out either" };
  const directory = await mkdtemp(path.join(tmpdir(), "larder-network-"));
  try {
    await chmod(directory, 0o711); // the network's own user passes through
    await openTunDevice();
    const uid = process.getuid?.() === 0 ? nobody : undefined;
    const options = { directory: path.join(directory, "probe"), uid, denied, uplink, clock: systemClock };
    await using network = await Network.make(options, signal);
    return {
      found: `a network of ${network.link.tap} and pasta works; guests reach the internet, over IPv4`,
    };
  } catch (error) {
    signal.throwIfAborted();
    const { message } = Failure.from(error);
    return { found: `none for guests: ${message}`, mend: mendOf(message) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function mendOf(message: string): string {
  if (message.includes("/dev/net/tun")) return "sudo modprobe tun && sudo chmod 0666 /dev/net/tun";
  if (message.includes("ENOENT")) return "npm start (it installs passt, nftables and iproute2)";
  return "sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0";
}
