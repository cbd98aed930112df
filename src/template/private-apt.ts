import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { type AptSource, formatDeb822Sources } from "./apt-sources.ts";
import { runCommand } from "./run-command.ts";

export interface PrivateAptOptions {
  /** Everything that apt writes goes in here; what it has fetched already is not fetched again. */
  readonly directory: string;
  readonly sources: readonly AptSource[];
  /** Packages (with globs) that are taken from an archive of backports, although it ranks lower than others. */
  readonly fromBackports: readonly string[];
}

/**
 * apt with a configuration of its own: it needs no root, and leaves the system's lists, caches and packages alone.
 * From the system it takes how to fetch (proxies, time-outs) and which packages are installed. As always with apt,
 * signatures of archives and digests of packages are checked.
 */
export class PrivateApt {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async prepare(options: PrivateAptOptions, signal: AbortSignal): Promise<PrivateApt> {
    const { directory } = options;
    for (const folder of ["sources.list.d", "lists/partial", "archives/partial", "state", "log"])
      await mkdir(path.join(directory, folder), { recursive: true });
    // A copy: apt locks the folder in which this file lies, and the system's belongs to root.
    await copyFile("/var/lib/dpkg/status", path.join(directory, "state/status"));
    const sources = path.join(directory, "sources.list.d/debian.sources");
    await writeFile(sources, formatDeb822Sources(options.sources));
    await writeFile(path.join(directory, "preferences"), preferences(options.fromBackports));
    await writeFile(path.join(directory, "apt.conf"), configuration(directory, await fetchSettings(signal)));
    return new PrivateApt(directory);
  }

  /** Reads the archives' lists of packages. */
  async update(onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
    await this.#run("apt-get", ["update"], onLine, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Failure("unavailable", "Debian's lists of packages cannot be read", { cause: error });
    });
  }

  /** The version of a package that would be installed, and what it depends on. Throws `not_found`. */
  async candidate(name: string, signal: AbortSignal): Promise<{ version: string; depends: string[] }> {
    const args = ["show", "--no-all-versions", name];
    const text = await this.#run("apt-cache", args, undefined, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Failure("not_found", `Debian's archives have no package ${name}`, { cause: error });
    });
    const version = /^Version: (\S+)$/m.exec(text)?.[1];
    if (version === undefined) throw new Failure("not_found", `Debian's archives have no package ${name}`);
    const depends = /^Depends: (.*)$/m.exec(text)?.[1] ?? "";
    return { version, depends: depends.split(/\s*,\s*/).map((each) => each.replace(/\s.*$/, "")) };
  }

  /**
   * Fetches a package and all that it needs and this system lacks; installs nothing.
   * Returns the paths of the packages' files.
   */
  async fetchWithNeeds(name: string, onLine: (line: string) => void, signal: AbortSignal): Promise<string[]> {
    const args = ["install", "--yes", "--no-install-recommends", "--download-only", name];
    const planned = await this.#run(
      "apt-get",
      ["--print-uris", "--quiet", "--quiet", ...args],
      undefined,
      signal,
    );
    const files = [...planned.matchAll(/^'[^']*' (\S+\.deb) /gm)].map((match) => match[1] ?? "");
    if (files.length === 0) throw new Failure("not_found", `apt has nothing to fetch for ${name}`);
    await this.#fetching(name, this.#run("apt-get", args, onLine, signal), signal);
    return files.map((file) => path.join(this.#directory, "archives", file));
  }

  /** Fetches one package alone and returns the path of its file. */
  async fetch(name: string, onLine: (line: string) => void, signal: AbortSignal): Promise<string> {
    const folder = path.join(this.#directory, "archives");
    const fetching = this.#run("apt-get", ["download", name], onLine, signal, folder);
    await this.#fetching(name, fetching, signal);
    const file = (await readdir(folder)).find((each) => each.startsWith(`${name}_`) && each.endsWith(".deb"));
    if (file === undefined) throw new Failure("internal", `apt said that it fetched ${name}, but did not`);
    return path.join(folder, file);
  }

  async #fetching(name: string, fetching: Promise<string>, signal: AbortSignal): Promise<void> {
    await fetching.catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Failure("unavailable", `Debian's package ${name} cannot be fetched`, { cause: error });
    });
  }

  async #run(
    command: string,
    args: string[],
    onLine: ((line: string) => void) | undefined,
    signal: AbortSignal,
    cwd = this.#directory,
  ): Promise<string> {
    const env = { APT_CONFIG: path.join(this.#directory, "apt.conf"), DEBIAN_FRONTEND: "noninteractive" };
    const options = { cwd, env, ...(onLine === undefined ? {} : { onLine }) };
    return (await runCommand(command, args, options, signal)).toString();
  }
}

function preferences(packages: readonly string[]): string {
  if (packages.length === 0) return "";
  return `Package: ${packages.join(" ")}\nPin: release a=*-backports\nPin-Priority: 990\n`;
}

/**
 * Of the system's configuration of apt how to fetch: proxies, time-outs, what is checked. In apt's own words, one
 * setting each. Its hooks and folders, and which lists it reads, have no business elsewhere.
 */
export async function fetchSettings(signal: AbortSignal): Promise<string[]> {
  const settings = (await runCommand("apt-config", ["dump"], {}, signal)).toString().split("\n");
  return settings.filter((line) => /^Acquire::(?:https?|ftp|Check|Retries|Max|Allow|Queue)/i.test(line));
}

function configuration(directory: string, fetching: readonly string[]): string {
  const own = {
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::parts": "/dev/null",
    "Dir::Etc::sourcelist": "/dev/null",
    "Dir::Etc::sourceparts": path.join(directory, "sources.list.d"),
    "Dir::Etc::preferences": path.join(directory, "preferences"),
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State": path.join(directory, "state"),
    "Dir::State::status": path.join(directory, "state/status"),
    "Dir::State::lists": path.join(directory, "lists"),
    "Dir::Cache": directory,
    "Dir::Cache::archives": path.join(directory, "archives"),
    "Dir::Log": path.join(directory, "log"),
    // apt's own user cannot enter a home directory; without this it warns and does the same.
    "APT::Sandbox::User": "root",
    "APT::Get::List-Cleanup": "true",
    // Packages stay until they are unpacked, whatever the system thinks of keeping them.
    "APT::Keep-Downloaded-Packages": "true",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
    "Binary::apt-get::APT::Keep-Downloaded-Packages": "true",
  };
  const lines = Object.entries(own).map(([name, value]) => `${name} "${value}";`);
  return `${[...fetching, ...lines].join("\n")}\n`;
}
