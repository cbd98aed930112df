import { systemClock } from "../../base/clock.ts";
import { metadataOf } from "./attributes.ts";
import { credentialSwitch, type Ids } from "./credentials.ts";
import type { Koffi } from "./foreign.ts";
import { Inheritance } from "./inheritance.ts";
import { KernelRandom } from "./kernel-random.ts";
import type { MachineIdentity } from "./machine-identity.ts";
import { spareAgent } from "./oom-score.ts";
import { pipeMaker } from "./pipes.ts";
import type { TakeLanePage } from "./lane-memory.ts";
import { Lanes } from "./lanes.ts";
import { MachineUsage } from "./machine-usage.ts";
import type { Port } from "./port.ts";
import { ProcessJournal } from "./process-journal.ts";
import { ProcessTable } from "./process-table.ts";
import { route } from "./router.ts";
import { createSessionServer, serveSessions } from "./sessions.ts";
import { Settings } from "./settings.ts";
import { terminalsOf } from "./terminals.ts";
import { Users } from "./users.ts";
import { Watchers } from "./watchers.ts";

export interface AgentOptions {
  readonly port: Port;
  /** The secret that the first preamble must bear, when there was no agent before this one. */
  readonly secret: Buffer;
  /** Where an agent keeps what its successor must know; a path on a file system in memory. */
  readonly inheritance: string;
  readonly identity: MachineIdentity;
  readonly koffi: Koffi;
  /** Who processes belong to until the daemon says otherwise. */
  readonly defaultUser: string;
  /** The PATH of users' processes. */
  readonly path: string;
  /** As `Spawner.inTerminal`. */
  readonly inTerminal: readonly [string, ...string[]];
  /** Whether the kernel shall end users' processes before the agent when memory runs out. Needs root. */
  readonly spared: boolean;
  /** Gives what files pass by. */
  readonly takeLanePage: TakeLanePage;
}

/** The one place that puts the agent together. */
export function startAgent({ port, secret, identity, koffi, ...options }: AgentOptions): void {
  const random = new KernelRandom();
  Math.random = () => random.fraction(); // The engine's own is the same in all machines of one snapshot.
  const switched = credentialSwitch(koffi, ownIds());
  const asUser = options.spared ? spareAgent(switched) : switched;
  const { inTerminal } = options;
  const spawner = { asUser, makePipe: pipeMaker(koffi), terminals: terminalsOf(koffi), inTerminal };
  const inheritance = new Inheritance(options.inheritance);
  const settings = new Settings(options.defaultUser);
  if (inheritance.settings !== undefined) settings.apply(inheritance.settings);
  const server = createSessionServer();
  route(server, {
    identity,
    random,
    settings,
    inheritance,
    users: new Users(),
    metadata: metadataOf(koffi),
    lanes: new Lanes(options.takeLanePage, random, systemClock),
    usage: new MachineUsage(systemClock),
    table: new ProcessTable(spawner, systemClock, new ProcessJournal(`${options.inheritance}-processes`)),
    watchers: new Watchers(koffi),
    clock: systemClock,
    path: options.path,
  });
  serveSessions({ port, secret, server, inheritance });
}

function ownIds(): Ids {
  const { getuid, getgid, getgroups } = process;
  return { uid: getuid?.() ?? 0, gid: getgid?.() ?? 0, groups: getgroups?.() ?? [] };
}
