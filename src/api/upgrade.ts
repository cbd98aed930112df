import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";

/** A client's wish to leave HTTP on its connection, as WebSocket does (RFC 9110, 7.8). */
export interface UpgradeRequest {
  /** What the client wants to go on with. */
  readonly protocol: string;
  readonly socket: Duplex;
  /** What the client has said already in that protocol. */
  readonly early: Buffer;
  /** Lets go of the socket: from now on no answer of HTTP may be written to it. */
  readonly detach: () => void;
}

export interface UpgradedGuest {
  readonly head: IncomingMessage;
  readonly upgraded?: Buffer;
  readonly connection: Duplex;
}

/** Tells the client that the guest agreed, and passes bytes both ways until one side ends; then both have. */
export async function joinUpgraded(
  { socket, early, detach }: UpgradeRequest,
  { head, upgraded, connection }: UpgradedGuest,
  signal: AbortSignal,
): Promise<void> {
  detach();
  socket.write(headText(head), "latin1");
  if (upgraded !== undefined && upgraded.length > 0) socket.write(upgraded);
  if (early.length > 0) connection.write(early);
  const both = [pipeline(socket, connection, { signal }), pipeline(connection, socket, { signal })];
  for (const direction of both) direction.catch(() => "the first one to end says why");
  try {
    await Promise.race(both);
  } finally {
    socket.destroy();
  }
}

/** The head as the guest sent it: in a change of protocol all of it is meant for the client. */
function headText({
  statusCode = 101,
  statusMessage = "Switching Protocols",
  rawHeaders,
}: IncomingMessage): string {
  let text = `HTTP/1.1 ${statusCode} ${statusMessage}\r\n`;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  return `${text}\r\n`;
}
