import { chmod, chown, mkdir, rm } from "node:fs/promises";
import path from "node:path";

/** Whose places these are, and where. */
interface Owner {
  readonly directory: string;
  readonly socketDirectory: string;
}

/** The overlay's name below a sandbox's directory. */
export const overlayName = "overlay.qcow2";
/** The memory of a sandbox that was booted, below its directory. */
export const memoryName = "memory";

/** Where the machine makes its sockets; its own. */
export function machineSockets({ socketDirectory }: Owner): string {
  return path.join(socketDirectory, "vm");
}

/** Where the disk is exported; the daemon's own, and only this reaches into the machine's cage. */
export function exportSocket({ socketDirectory }: Owner): string {
  return path.join(socketDirectory, "disk", "nbd");
}

/** Names the sandbox's network, for whoever has to find it again. */
export function networkFile({ socketDirectory }: Pick<Owner, "socketDirectory">): string {
  return path.join(socketDirectory, "network");
}

/** Names what serves the sandbox's memory, for whoever has to find it again. */
export function memoryServerFile({ socketDirectory }: Pick<Owner, "socketDirectory">): string {
  return path.join(socketDirectory, "memory");
}

/** Makes all directories of a sandbox; closed to everybody else on the host. */
export async function makePlaces(owner: Owner): Promise<void> {
  const exportDirectory = path.dirname(exportSocket(owner));
  await Promise.all([
    mkdir(owner.directory, { recursive: true, mode: 0o700 }),
    mkdir(owner.socketDirectory, { recursive: true, mode: 0o700 }).then(() =>
      Promise.all([mkdir(machineSockets(owner), { mode: 0o700 }), mkdir(exportDirectory)]),
    ),
  ]);
  // Its cage is entered by one who has given up all rights. On the host nobody comes near: what is above is closed.
  await Promise.all([chmod(owner.directory, 0o711), chmod(exportDirectory, 0o711)]);
}

/** Lets the machine's user, and nobody else, connect. */
export async function giveSocket(socket: string, uid: number | undefined): Promise<void> {
  if (uid !== undefined) await chown(socket, uid, uid);
}

/** Removes all of it; silent when there is nothing. */
export async function removePlaces({ directory, socketDirectory }: Owner): Promise<void> {
  const options = { recursive: true, force: true, maxRetries: 3 };
  await Promise.all([rm(directory, options), rm(socketDirectory, options)]);
}
