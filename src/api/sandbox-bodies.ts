import { z } from "zod";
import { environment, notYet, only, seconds, stringMap, timeoutSecondsMax } from "./fields.ts";
import { networkFields } from "./network-fields.ts";

/** What the server chooses for whoever does not say: the newest clients send nothing that their caller did not. */
export const defaultTimeoutSeconds = 300;
const defaultTemplate = "base";

/** `POST /sandboxes` and `POST /v2/sandboxes`. */
export const createBody = z.strictObject({
  templateID: z.string().min(1).max(256).default(defaultTemplate),
  timeout: seconds.default(defaultTimeoutSeconds),
  metadata: stringMap.nullish(),
  envVars: environment.nullish(),
  /** Whoever says nothing gets what the clients of that path expect. */
  secure: z.boolean().optional(),
  allow_internet_access: z.boolean().nullish(),
  autoPause: z.boolean().nullish(),
  autoPauseMemory: z.boolean().nullish(),
  autoResume: z.strictObject({ enabled: z.boolean() }).nullish(),
  network: networkFields.nullish(),
  iam: notYet("workload identity is"),
  mcp: notYet("MCP servers are"),
  volumeMounts: only(z.array(z.unknown()), isEmpty, "volumes are not supported yet"),
});

export type CreateBody = z.output<typeof createBody>;

/** `POST /sandboxes/{id}/connect`, both generations. */
export const connectBody = z.strictObject({
  timeout: seconds.default(defaultTimeoutSeconds),
  /** False: one that sleeps is started from its disk. */
  memory: z.boolean().nullish(),
});

/** `POST /sandboxes/{id}/resume` of older clients. */
export const resumeBody = z.strictObject({
  timeout: seconds.default(defaultTimeoutSeconds),
  autoPause: z.boolean().nullish(),
});

/** `POST /sandboxes/{id}/pause`. */
export const pauseBody = z.strictObject({ memory: z.boolean().nullish() });

/** `POST /sandboxes/{id}/timeout`; 0 ends the sandbox at once. */
export const timeoutBody = z.strictObject({ timeout: z.int().min(0).max(timeoutSecondsMax) });

/** `POST /sandboxes/{id}/refreshes` of the oldest clients. */
export const refreshBody = z.strictObject({ duration: seconds.default(defaultTimeoutSeconds) });

function isEmpty(list: readonly unknown[]): boolean {
  return list.length === 0;
}
