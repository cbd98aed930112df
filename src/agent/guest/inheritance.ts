import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { SettingValues } from "./settings.ts";

/** The secret that the next preamble must bear, and its successor while nobody has confirmed that. */
export type Secrets = readonly [secret: Buffer, successor: Buffer | undefined];

interface Contents {
  readonly secrets?: readonly string[];
  readonly settings?: SettingValues;
}

/**
 * What an agent leaves to the one that is started when it has died: without it, nobody who the daemon has ever told
 * anything would answer it. A file in memory that only root may read, whole at any moment.
 */
export class Inheritance {
  readonly #path: string;
  #contents: Contents;

  constructor(path: string) {
    this.#path = path;
    this.#contents = read(path);
  }

  /** Undefined when there was no agent before, or it was never spoken to. */
  get secrets(): Secrets | undefined {
    const [secret, successor] = (this.#contents.secrets ?? []).map((digits) => Buffer.from(digits, "hex"));
    return secret === undefined ? undefined : [secret, successor];
  }

  get settings(): SettingValues | undefined {
    return this.#contents.settings;
  }

  keepSecrets(secrets: Secrets): void {
    const digits = secrets.filter((each) => each !== undefined).map((each) => each.toString("hex"));
    this.#keep({ ...this.#contents, secrets: digits });
  }

  keepSettings(settings: SettingValues): void {
    this.#keep({ ...this.#contents, settings });
  }

  #keep(contents: Contents): void {
    this.#contents = contents;
    const fresh = `${this.#path}.new`;
    writeFileSync(fresh, JSON.stringify(contents), { mode: 0o600 });
    renameSync(fresh, this.#path);
  }
}

function read(path: string): Contents {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Contents;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}
