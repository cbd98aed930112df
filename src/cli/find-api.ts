import { Failure } from "../base/failure.ts";
import { readApiKey } from "../daemon/api-key-file.ts";
import { readConfiguration } from "../daemon/configuration.ts";
import { findDaemon, type Presence } from "../daemon/presence.ts";
import { ApiClient } from "./api-client.ts";
import { hostFacts } from "./host-facts.ts";

export interface ApiPlace {
  readonly url: string;
  readonly apiKey: string;
  /** What the daemon says of itself to clients: of its sandboxes' ports, with `*` for PORT-ID, and to be set. */
  readonly clients?: Presence["clients"];
}

/**
 * The daemon to talk to: the one that runs on LARDER_DATA, else the one that E2B_API_URL names.
 * Throws `unavailable` with what to do when there is none.
 */
export async function findApi(env: NodeJS.ProcessEnv): Promise<ApiPlace> {
  const { data, apiKey } = readConfiguration(env, hostFacts(env));
  const daemon = await findDaemon(data);
  const remote = env["E2B_API_URL"];
  const url = daemon?.url ?? remote;
  if (url === undefined || url === "") {
    throw new Failure("unavailable", `no daemon runs on ${data}; 'larder up' starts one`);
  }
  const key = daemon === undefined ? env["E2B_API_KEY"] : (apiKey ?? (await readApiKey(data)));
  if (key === undefined) {
    const missing = daemon === undefined ? "E2B_API_KEY is not set" : `there is no API key in ${data}`;
    throw new Failure("denied", `${missing}; set LARDER_API_KEY`);
  }
  return { url: url.replace(/\/+$/, ""), apiKey: key, clients: daemon?.clients };
}

export async function connectToApi(env: NodeJS.ProcessEnv): Promise<ApiClient> {
  return new ApiClient(await findApi(env));
}
