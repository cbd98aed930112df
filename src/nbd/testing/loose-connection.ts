import { type Duplex, duplexPair } from "node:stream";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import { MemoryLogger } from "../../base/testing/memory-logger.ts";
import { settled, VirtualClock } from "../../base/testing/virtual-clock.ts";
import { Connection } from "../connection.ts";
import { defaultLimits, type NbdLimits } from "../limits.ts";
import { SlabPool } from "../../base/slab-pool.ts";
import { ArrayDevice } from "./array-device.ts";

/** A connection whose client end is in the test's hands. */
export interface LooseConnection {
  readonly connection: Connection;
  readonly client: Duplex;
  /** The server's end. */
  readonly socket: Duplex;
  readonly device: ArrayDevice;
  readonly clock: VirtualClock;
  readonly logger: MemoryLogger;
  readonly meter: MemoryMeter;
  /** Sends the pieces one by one; after each, everything that can happen does. */
  readonly send: (...pieces: Uint8Array[]) => Promise<void>;
  /** All that came back so far. */
  readonly received: () => Buffer;
  /** True when the server has closed its end. */
  readonly closed: () => boolean;
}

export function looseConnection(
  device: ArrayDevice = ArrayDevice.striped(256 * 1024),
  limits: Partial<NbdLimits> = {},
): LooseConnection {
  const [client, socket] = copyingPair();
  const clock = new VirtualClock();
  const logger = new MemoryLogger();
  const meter = new MemoryMeter();
  const all = { ...defaultLimits, ...limits };
  const offer = {
    name: "disk",
    description: "a test",
    bytes: device.bytes,
    requestBytesMax: all.requestBytesMax,
  };
  const slabs = new SlabPool();
  const connection = new Connection({ socket, device, offer, clock, limits: all, slabs, logger, meter });
  const pieces: Buffer[] = [];
  let closed = false;
  client.on("data", (piece: Buffer) => pieces.push(piece));
  client.on("error", () => {});
  void connection.closed.then(() => {
    closed = true;
  });
  const send = async (...messages: Uint8Array[]) => {
    for (const message of messages) {
      if (client.writable && message.length > 0) client.write(message);
      await settled();
    }
  };
  const received = () => Buffer.concat(pieces);
  return { connection, client, socket, device, clock, logger, meter, send, received, closed: () => closed };
}

/** Two ends of a pipe. A kernel copies a write before it says that it took it; `duplexPair` must be made to. */
function copyingPair(): [Duplex, Duplex] {
  const [client, socket] = duplexPair({ allowHalfOpen: true });
  const write = socket._write.bind(socket);
  socket._write = (chunk: Buffer, encoding, callback) => write(Buffer.from(chunk), encoding, callback);
  return [client, socket];
}
