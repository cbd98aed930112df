import { systemClock } from "../../base/clock.ts";
import { credentialSwitch, type Ids } from "./credentials.ts";
import type { Koffi } from "./foreign.ts";
import { KernelRandom } from "./kernel-random.ts";
import type { MachineIdentity } from "./machine-identity.ts";
import { pipeMaker } from "./pipes.ts";
import type { Port } from "./port.ts";
import { ProcessTable } from "./process-table.ts";
import { route } from "./router.ts";
import { createSessionServer, serveSessions } from "./sessions.ts";
import { Settings } from "./settings.ts";
import { Users } from "./users.ts";

export interface AgentOptions {
  readonly port: Port;
  /** The secret that the first preamble must bear. */
  readonly secret: Buffer;
  readonly identity: MachineIdentity;
  readonly koffi: Koffi;
  /** Who processes belong to until the daemon says otherwise. */
  readonly defaultUser: string;
  /** The PATH of users' processes. */
  readonly path: string;
}

/** The one place that puts the agent together. */
export function startAgent({ port, secret, identity, koffi, defaultUser, path }: AgentOptions): void {
  const random = new KernelRandom();
  Math.random = () => random.fraction(); // The engine's own is the same in all machines of one snapshot.
  const spawner = { asUser: credentialSwitch(koffi, ownIds()), makePipe: pipeMaker(koffi) };
  const server = createSessionServer();
  route(server, {
    identity,
    random,
    settings: new Settings(defaultUser),
    users: new Users(),
    table: new ProcessTable(spawner, systemClock),
    clock: systemClock,
    path,
  });
  serveSessions(port, secret, server);
}

function ownIds(): Ids {
  const { getuid, getgid, getgroups } = process;
  return { uid: getuid?.() ?? 0, gid: getgid?.() ?? 0, groups: getgroups?.() ?? [] };
}
