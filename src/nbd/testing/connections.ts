import assert from "node:assert/strict";
import { afterEach } from "node:test";
import { Failure } from "../../base/failure.ts";
import { settled } from "../../base/testing/virtual-clock.ts";
import type { NbdLimits } from "../limits.ts";
import type { ArrayDevice } from "./array-device.ts";
import { looseConnection, type LooseConnection } from "./loose-connection.ts";
import { type Reply, structuredReplies } from "./reply-parser.ts";
import { modernHandshake } from "./requests.ts";

/** A connection past its handshake. */
export interface ModernConnection extends LooseConnection {
  /** What came back since the handshake. */
  readonly replies: () => Reply[];
}

export interface Connections {
  readonly loose: (device?: ArrayDevice, limits?: Partial<NbdLimits>) => LooseConnection;
  readonly modern: (device?: ArrayDevice, limits?: Partial<NbdLimits>) => Promise<ModernConnection>;
}

/** Makes connections for the tests of one file. After each test, ends them and asserts that nothing is left. */
export function connectionsOfTests(): Connections {
  const opened: LooseConnection[] = [];
  afterEach(async () => {
    for (const { connection, clock, device } of opened.splice(0)) {
      connection.destroy(new Failure("cancelled", "the test is over"));
      await connection.closed;
      await settled();
      assert.equal(device.underWay, 0, "no read is left with the device");
      assert.equal(clock.pending, 0, "no timer is left");
    }
  });
  const loose: Connections["loose"] = (device, limits) => {
    const made = looseConnection(device, limits);
    opened.push(made);
    return made;
  };
  const modern: Connections["modern"] = async (device, limits) => {
    const made = loose(device, limits);
    await made.send(...modernHandshake());
    const from = made.received().length;
    return { ...made, replies: () => structuredReplies(made.received().subarray(from)) };
  };
  return { loose, modern };
}
