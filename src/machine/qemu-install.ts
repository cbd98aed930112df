import { execFile } from "node:child_process";
import { access, readdir, realpath } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { Failure } from "../base/failure.ts";

const run = promisify(execFile);

/** A QEMU that can be started, and where its parts lie. */
export interface QemuInstall {
  readonly binary: string;
  /** Upstream's version, such as `10.0.2`. */
  readonly version: string;
  /** For `-L`: firmware. */
  readonly dataDirectories: readonly string[];
  /** Libraries that the system does not have itself. */
  readonly libraryDirectories: readonly string[];
}

/** The first version that can map guest memory from a file that it may not write (`rom=off`). */
const versionMin = [8, 2] as const;

const program = "qemu-system-x86_64";

/**
 * The system's QEMU if it is new enough, else the newest one that was unpacked in the cache of downloads
 * (`CACHE/qemu-VERSION/root/usr/…`). Throws `not_found` with what to do.
 */
export async function findQemu(
  cacheDirectory: string,
  searchPath = process.env["PATH"] ?? "/usr/bin:/bin",
): Promise<QemuInstall> {
  for (const directory of searchPath.split(":").filter((each) => path.isAbsolute(each))) {
    const install = await installed(path.join(directory, program));
    if (install !== undefined) return install;
  }
  const names = await readdir(cacheDirectory).catch(() => []);
  const collator = new Intl.Collator("en", { numeric: true });
  const newestFirst = names.filter((name) => name.startsWith("qemu-")).sort((a, b) => collator.compare(b, a));
  for (const name of newestFirst) {
    const install = await unpacked(path.join(cacheDirectory, name, "root"));
    if (install !== undefined) return install;
  }
  throw new Failure("not_found", "there is no QEMU 8.2 or newer: `larder template build base` fetches one");
}

/** A QEMU of the system, which finds its libraries itself. */
async function installed(link: string): Promise<QemuInstall | undefined> {
  const binary = await realpath(link).catch(() => undefined);
  if (binary === undefined) return undefined;
  const version = await versionOf(binary, []);
  if (version === undefined || !isNewEnough(version)) return undefined;
  const share = path.resolve(binary, "../../share");
  const dataDirectories = await existing([
    ...[path.join(share, "qemu"), path.join(share, "seabios")],
    ...["/usr/share/qemu", "/usr/share/seabios"],
  ]);
  return { binary, version, dataDirectories, libraryDirectories: [] };
}

/** A QEMU unpacked below `root`, with those of its libraries that the system lacks. */
async function unpacked(root: string): Promise<QemuInstall | undefined> {
  const binary = path.join(root, "usr/bin", program);
  const inRoot = (names: string[]) => existing(names.map((name) => path.join(root, name)));
  // Packages put libraries into both; on a merged system the second is the first.
  const libraryDirectories = await inRoot(["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]);
  const version = await versionOf(binary, libraryDirectories);
  if (version === undefined || !isNewEnough(version)) return undefined;
  const dataDirectories = await inRoot(["usr/share/qemu", "usr/share/seabios"]);
  return { binary, version, dataDirectories, libraryDirectories };
}

/** Those of `paths` that there are, each once, links followed. */
async function existing(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(paths.map((each) => realpath(each).catch(() => undefined)));
  return [...new Set(found.filter((each) => each !== undefined))];
}

/** The version that a binary tells; undefined when it is not there or does not start. */
async function versionOf(binary: string, libraries: readonly string[]): Promise<string | undefined> {
  if (!(await access(binary).then(yes, no))) return undefined;
  const env = libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(":") };
  const { stdout } = await run(binary, ["--version"], { env }).catch(() => ({ stdout: "" }));
  return parseVersion(stdout);
}

const yes = () => true;
const no = () => false;

/** `10.0.2` of "QEMU emulator version 10.0.2 (Debian …)". */
export function parseVersion(text: string): string | undefined {
  return /\bversion (\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1];
}

/** Says whether a version such as `10.0.2` can do what machines need. */
export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > versionMin[0] || (major === versionMin[0] && minor >= versionMin[1]);
}
