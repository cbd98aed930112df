import type { BuildRoom } from "./build-room.ts";
import type { HeldLease } from "./lease.ts";
import type { Residence } from "./residence.ts";

/** A build on the shelf, or one that is passed through because the shelf cannot take even its manifest. */
export interface Entry {
  readonly residence: Residence;
  readonly leases: Set<HeldLease>;
  /** Where it is written down whether the journal knows of it. If not, it goes with its last lease. */
  readonly room: BuildRoom;
  /** When its last lease ended. */
  usedAt: number;
  /** An operator wants it to stay. */
  pinned: boolean;
  /** Being evicted, in whole or in part: who comes now waits for it (C16). */
  closing: Promise<void> | undefined;
}
