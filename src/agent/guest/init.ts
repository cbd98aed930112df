import { fromJsonString } from "@bufbuild/protobuf";
import { type AgentSettings, AgentSettingsSchema } from "../protocol/generated/control_pb.js";
import { Failure } from "../../base/failure.ts";
import type { Inheritance } from "./inheritance.ts";
import type { KernelRandom } from "./kernel-random.ts";
import type { MachineIdentity } from "./machine-identity.ts";
import type { Settings } from "./settings.ts";

/** A clock that is off by less than this is left alone: a step is worse than being a little late. */
const behindMsMax = 50;
const aheadMsMax = 5000;
const entropyBytesMin = 32;
const entropyBytesMax = 512;
/** Variables that are files too; what a client has set is nobody's but its commands'. */
const facts = ["E2B_SANDBOX", "E2B_SANDBOX_ID", "E2B_TEMPLATE_ID"];

export interface InitContext {
  readonly identity: MachineIdentity;
  readonly random: KernelRandom;
  readonly settings: Settings;
  readonly inheritance: Pick<Inheritance, "keepSettings">;
}

/** Carries out what the daemon sends after each boot and restore. Throws `invalid` before anything was changed. */
export function init(body: string, { identity, random, settings, inheritance }: InitContext): void {
  const wanted = parse(body);
  const now = Number(wanted.nowMs);
  const behind = now - identity.now();
  if (behind > behindMsMax || behind < -aheadMsMax) identity.setClock(now);
  identity.addEntropy(wanted.entropy);
  identity.setHostname(wanted.hostname);
  identity.setBootId(wanted.bootId);
  identity.setMachineId(random.bytes(16).toString("hex"));
  for (const name of facts) {
    const value = wanted.envVars[name];
    if (value !== undefined) identity.showFact(name, value);
  }
  settings.apply(wanted);
  const { accessToken, envVars, defaultUser, defaultWorkdir } = wanted;
  inheritance.keepSettings({ accessToken, envVars, defaultUser, defaultWorkdir });
}

function parse(body: string): AgentSettings {
  let settings: AgentSettings;
  try {
    settings = fromJsonString(AgentSettingsSchema, body, { ignoreUnknownFields: true });
  } catch (error) {
    throw new Failure("invalid", `these are no settings: ${(error as Error).message}`, { cause: error });
  }
  const { entropy, hostname, bootId, nowMs } = settings;
  if (entropy.length < entropyBytesMin || entropy.length > entropyBytesMax) {
    throw new Failure(
      "invalid",
      `entropy has ${entropy.length} bytes, not ${entropyBytesMin}–${entropyBytesMax}`,
    );
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/.test(hostname))
    throw new Failure("invalid", "hostname is no host name");
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(bootId))
    throw new Failure("invalid", "bootId is no UUID");
  if (nowMs <= 0n) throw new Failure("invalid", "nowMs is no time");
  return settings;
}
