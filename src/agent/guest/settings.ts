export interface SettingValues {
  /** Missing: nobody is asked for one. */
  readonly accessToken?: string | undefined;
  readonly envVars: Readonly<Record<string, string>>;
  /** Empty: stays what it is. */
  readonly defaultUser: string;
  /** Missing: the home of whoever starts a process. */
  readonly defaultWorkdir?: string | undefined;
}

/** What the daemon last told the agent, and what holds until it does. */
export class Settings {
  accessToken: string | undefined;
  envVars: Readonly<Record<string, string>> = {};
  defaultUser: string;
  defaultWorkdir: string | undefined;

  constructor(defaultUser: string) {
    this.defaultUser = defaultUser;
  }

  apply(settings: SettingValues): void {
    this.accessToken = settings.accessToken;
    this.envVars = settings.envVars;
    if (settings.defaultUser !== "") this.defaultUser = settings.defaultUser;
    this.defaultWorkdir = settings.defaultWorkdir;
  }
}
