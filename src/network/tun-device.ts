import { chmod, stat } from "node:fs/promises";
import { Failure } from "../base/failure.ts";

const device = "/dev/net/tun";
/** Reading and writing for everybody. What it gives is only ever as much as its user may do in a network namespace. */
const everybody = 0o666;

/**
 * Sees to it that every user may open the device for virtual network interfaces, as udev's rules have it: true when
 * that had to be changed. Throws `unavailable` where it is missing, or closed to a daemon that is not root.
 */
export async function openTunDevice(file = device): Promise<boolean> {
  const { mode } = await stat(file).catch((error: unknown) => {
    throw new Failure("unavailable", `${file} is missing: the kernel's module tun is needed`, {
      cause: error,
    });
  });
  if ((mode & everybody) === everybody) return false;
  try {
    await chmod(file, everybody);
    return true;
  } catch (error) {
    throw new Failure(
      "unavailable",
      `${file} is closed to ordinary users: root must run chmod 0666 ${file}`,
      {
        cause: error,
      },
    );
  }
}
