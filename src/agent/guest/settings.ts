import type { AgentSettings } from "../protocol/generated/control_pb.js";

/** What the daemon last told the agent, and what holds until it does. */
export class Settings {
  accessToken: string | undefined;
  envVars: Readonly<Record<string, string>> = {};
  defaultUser: string;
  defaultWorkdir: string | undefined;

  constructor(defaultUser: string) {
    this.defaultUser = defaultUser;
  }

  apply(settings: AgentSettings): void {
    this.accessToken = settings.accessToken;
    this.envVars = settings.envVars;
    if (settings.defaultUser !== "") this.defaultUser = settings.defaultUser;
    this.defaultWorkdir = settings.defaultWorkdir;
  }
}
