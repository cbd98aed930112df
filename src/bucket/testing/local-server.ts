import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Has a server listen at a free port of this machine. */
export async function listenLocally(server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
}

export function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Whoever is connected is hung up on. */
export async function closeAtOnce(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}
