import { availableParallelism, homedir, totalmem } from "node:os";
import type { HostFacts } from "../daemon/configuration.ts";

/** What this machine and this user are like, as far as defaults of settings depend on it. */
export function hostFacts(env: NodeJS.ProcessEnv): HostFacts {
  return { home: env["HOME"] || homedir(), memoryBytes: totalmem(), cores: availableParallelism() };
}
