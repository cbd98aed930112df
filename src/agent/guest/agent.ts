import { systemClock } from "../../base/clock.ts";
import { metadataOf } from "./attributes.ts";
import { credentialSwitch, type Ids } from "./credentials.ts";
import type { Koffi } from "./foreign.ts";
import { KernelRandom } from "./kernel-random.ts";
import type { MachineIdentity } from "./machine-identity.ts";
import { spareAgent } from "./oom-score.ts";
import { pipeMaker } from "./pipes.ts";
import { MachineUsage } from "./machine-usage.ts";
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
  /** Whether the kernel shall end users' processes before the agent when memory runs out. Needs root. */
  readonly spared: boolean;
}

/** The one place that puts the agent together. */
export function startAgent({ port, secret, identity, koffi, ...options }: AgentOptions): void {
  const random = new KernelRandom();
  Math.random = () => random.fraction(); // The engine's own is the same in all machines of one snapshot.
  const switched = credentialSwitch(koffi, ownIds());
  const asUser = options.spared ? spareAgent(switched) : switched;
  const spawner = { asUser, makePipe: pipeMaker(koffi) };
  const server = createSessionServer();
  route(server, {
    identity,
    random,
    settings: new Settings(options.defaultUser),
    users: new Users(),
    metadata: metadataOf(koffi),
    usage: new MachineUsage(systemClock),
    table: new ProcessTable(spawner, systemClock),
    clock: systemClock,
    path: options.path,
  });
  serveSessions(port, secret, server);
}

function ownIds(): Ids {
  const { getuid, getgid, getgroups } = process;
  return { uid: getuid?.() ?? 0, gid: getgid?.() ?? 0, groups: getgroups?.() ?? [] };
}
