import { once } from "node:events";
import type { Duplex } from "node:stream";
import { isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { hostName } from "./host-name.ts";
import type { GuestChannel } from "./ports.ts";

/**
 * Pauses before each further attempt: a server that was started a moment ago is often not listening yet, and in an
 * emulated machine even a small one takes seconds.
 */
const retryPausesMs = [50, 150, 300, 500, 1_000, 1_000];

export interface PortAddress {
  readonly port: number;
  /** Speaks TLS there, to a server of this name; undefined speaks plain HTTP. */
  readonly tlsHost: string | undefined;
}

export interface PortGuest {
  readonly channel: GuestChannel;
  /** A port that is closed may be about to open: it is tried again. */
  readonly mayOpen: boolean;
}

/** A connection to a server in the guest. Throws `not_found` or `unavailable` when nobody listens there in time. */
export async function connectPort(
  { port, tlsHost }: PortAddress,
  { channel, mayOpen }: PortGuest,
  clock: Clock,
  signal: AbortSignal,
): Promise<Duplex> {
  for (let attempt = 0; ; attempt++) {
    try {
      const connection = await channel.connectPort(port, signal);
      return tlsHost === undefined ? connection : await secured(connection, tlsHost, signal);
    } catch (error) {
      signal.throwIfAborted();
      const pauseMs = retryPausesMs[attempt];
      const again = Failure.is(error, "unavailable") || (mayOpen && Failure.is(error, "not_found"));
      if (pauseMs === undefined || !again) throw error;
      await clock.sleep(pauseMs, signal);
    }
  }
}

/** The guest made its certificate itself, and the way to it is a channel of our own: there is nothing to check. */
async function secured(connection: Duplex, host: string, signal: AbortSignal): Promise<Duplex> {
  const name = hostName(host) ?? "localhost";
  const servername = isIP(name) === 0 ? name : "localhost";
  const socket = connectTls({
    socket: connection,
    servername,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
  });
  try {
    await once(socket, "secureConnect", { signal });
    return socket;
  } catch (error) {
    connection.destroy();
    socket.destroy();
    throw new Failure("unavailable", "the server in the guest speaks no TLS", { cause: error });
  }
}
