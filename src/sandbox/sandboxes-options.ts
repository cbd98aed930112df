import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import type { Tracer } from "../base/tracer.ts";
import type { Store } from "../store/store.ts";
import type { AdmissionLimits } from "./admission.ts";
import type { SnapshotKeeper } from "./child-builds.ts";
import type { HostShape } from "./choose-build.ts";
import type { Launcher } from "./launcher.ts";
import type { UidRange } from "./uid-range.ts";

export interface SandboxesOptions {
  readonly store: Pick<Store, "settings" | "templates" | "sandboxes">;
  readonly launcher: Launcher;
  readonly snapshots: SnapshotKeeper;
  readonly host: HostShape;
  readonly limits: AdmissionLimits;
  /** Machines that wait, started, for each kind of sandbox that is asked for. */
  readonly poolMachinesMax: number;
  /** Gets one directory for each sandbox. */
  readonly directory: string;
  /** The same for sockets; short. */
  readonly socketDirectory: string;
  /** Users that machines run as; only a root daemon has some to give. */
  readonly uids?: UidRange;
  readonly agentVersion: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly tracer?: Tracer;
}
