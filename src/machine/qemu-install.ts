import { execFile } from "node:child_process";
import { access, readdir } from "node:fs/promises";
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

/**
 * The system's QEMU if it is new enough, else the newest one that was unpacked in the cache of downloads
 * (`CACHE/qemu-VERSION/root/usr/…`). Throws `not_found` with what to do.
 */
export async function findQemu(cacheDirectory: string): Promise<QemuInstall> {
  const system = await versionOf("qemu-system-x86_64", {});
  if (system !== undefined && isNewEnough(system)) {
    const { stdout } = await run("sh", ["-c", "command -v qemu-system-x86_64"]);
    const dataDirectories = ["/usr/share/qemu", "/usr/share/seabios"];
    return { binary: stdout.trim(), version: system, dataDirectories, libraryDirectories: [] };
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

async function unpacked(root: string): Promise<QemuInstall | undefined> {
  const binary = path.join(root, "usr/bin/qemu-system-x86_64");
  const libraryDirectories = [path.join(root, "usr/lib/x86_64-linux-gnu")];
  const version = await versionOf(binary, { LD_LIBRARY_PATH: libraryDirectories.join(":") });
  if (version === undefined || !isNewEnough(version)) return undefined;
  await access(path.join(root, "usr/share/seabios"));
  const dataDirectories = [path.join(root, "usr/share/qemu"), path.join(root, "usr/share/seabios")];
  return { binary, version, dataDirectories, libraryDirectories };
}

async function versionOf(binary: string, env: Record<string, string>): Promise<string | undefined> {
  const { stdout } = await run(binary, ["--version"], { env: { ...process.env, ...env } }).catch(() => ({
    stdout: "",
  }));
  return /version (\d+\.\d+(?:\.\d+)?)/.exec(stdout)?.[1];
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > versionMin[0] || (major === versionMin[0] && minor >= versionMin[1]);
}
