import { arrivalLimits } from "../api/arrival.ts";
import type { ApiServerOptions } from "../api/api-server.ts";
import type { Admin } from "../api/ports.ts";
import type { Networks } from "../network/networks.ts";
import { collectorOf } from "./collector.ts";
import { telling } from "./telling.ts";
import { templateService } from "./template-service.ts";
import { agentVersion, type Builds, type Ground, type MadeSandboxes } from "./wiring.ts";

/** A create may have to wait for its place, and for a bucket that is away. */
const startMsMax = 120_000;
/** Requests under way get this long when the daemon stops. */
const closeMsMax = 1500;

/** What the API may see of the rooms below it. */
export function apiRooms(
  { configuration, clock, logger, metrics, logs }: Ground,
  builds: Builds,
  { sandboxes, snapshots, memories }: MadeSandboxes,
  networks: Networks | undefined,
): Omit<ApiServerOptions, "boundHost" | "port" | "version"> {
  const { store, cache, peers, register } = builds;
  return {
    ...{
      sandboxes,
      snapshots: telling(snapshots, register),
      clock,
      logger,
      meter: metrics,
      startMsMax,
      closeMsMax,
    },
    domain: configuration.domain,
    arrival: arrivalLimits,
    templates: telling(templateService(store, agentVersion), register),
    keys: store.apiKeys,
    logs,
    admin: { ...adminOf(cache), collectGarbage: collectorOf({ clock, logger }, builds) },
    inspect: {
      report: async () => {
        const { sandboxes: present, pool, ...admission } = sandboxes.inspect();
        const owners = [
          ...present.map(({ id }) => id),
          ...pool,
          ...(networks?.names ?? []),
          ...memories.names,
        ];
        const below = { memories: memories.inspect(), cache: cache.inspect(), peers: peers?.inspect() };
        return { owners, sandboxes: present, pool, admission, ...below };
      },
    },
    exposition: {
      contentType: metrics.contentType,
      text: () => {
        cache.measure();
        peers?.measure();
        return metrics.text();
      },
    },
  };
}

/** What an operator may do to the cache. */
function adminOf(cache: Builds["cache"]): Omit<Admin, "collectGarbage"> {
  const { operator } = cache;
  return {
    clearBackoffs: () => cache.clearBackoffs(),
    describe: (build) => operator.describe(build),
    evict: (build) => operator.evict(build),
    verify: (build, signal) => operator.verify(build, signal),
    pin: (build) => operator.pin(build),
    unpin: (build) => operator.unpin(build),
  };
}
