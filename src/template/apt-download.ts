import { chmod, mkdir, mkdtemp, readdir, rename, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { findQemu, isNewEnough } from "../machine/qemu-install.ts";
import { unfinished } from "./cache-leftovers.ts";
import type { DebianSources } from "./debian-sources.ts";
import { PrivateApt } from "./private-apt.ts";
import type { Tell } from "./progress.ts";
import { runCommand } from "./run-command.ts";
import { readStamp, writeStamp } from "./stamp.ts";

export interface Downloads {
  /** The cache, as `LARDER_CACHE` says. The caller holds its lock. */
  readonly cacheDirectory: string;
  /** Called only when something has to be fetched: a system with a full cache needs no sources. */
  readonly apt: (tell: Tell) => Promise<PrivateApt>;
  /** Looks for newer versions although there is one. */
  readonly refresh: boolean;
}

/** A directory of the cache with unpacked packages: `<directory>/root/usr/…`. */
export interface Unpacked {
  readonly version: string;
  readonly root: string;
  /** What was unpacked: file names of packages, which hold name, version and architecture. */
  readonly packages: readonly string[];
}

/**
 * Sees to it that there is a QEMU: the system's when that is new enough (then this resolves to undefined),
 * else one from Debian, with those of the libraries it needs that the system lacks, unpacked in the cache.
 */
export async function provideQemu(
  from: Downloads,
  tell: Tell,
  signal: AbortSignal,
): Promise<Unpacked | undefined> {
  const found = await findQemu(from.cacheDirectory).catch(() => undefined);
  if (found !== undefined && !found.binary.startsWith(path.join(from.cacheDirectory, "/"))) {
    tell(`QEMU ${found.version} of this system`);
    return undefined;
  }
  // One that does not start lacks libraries that the system has lost since: it is fetched again, with them.
  const keep = found !== undefined;
  return provide({ ...from, keep }, "qemu", tell, signal, async (apt) => {
    const { version } = await apt.candidate("qemu-system-x86", signal);
    if (!isNewEnough(upstream(version))) {
      throw new Failure(
        "invalid",
        `Debian's QEMU is ${version} here, and 8.2 is needed: set LARDER_DEBIAN_SUITE`,
      );
    }
    return { version, fetch: (onLine) => apt.fetchWithNeeds("qemu-system-x86", onLine, signal) };
  });
}

/** Debian's kernel for virtual machines, unpacked in the cache: `root/boot/vmlinuz-*`, `root/lib/modules/*`. */
export function provideKernel(from: Downloads, tell: Tell, signal: AbortSignal): Promise<Unpacked> {
  const metapackage = "linux-image-cloud-amd64";
  return provide({ ...from, keep: true }, "kernel", tell, signal, async (apt) => {
    const { version, depends } = await apt.candidate(metapackage, signal);
    const image = depends.find((name) => name.startsWith("linux-image-"));
    if (image === undefined) throw new Failure("internal", `${metapackage} ${version} names no kernel`);
    return { version, fetch: async (onLine) => [await apt.fetch(image, onLine, signal)] };
  });
}

/**
 * apt with Debian's lists of packages, read once however often it is asked for.
 * `sources` is asked only then.
 */
export function aptOnce(
  cacheDirectory: string,
  sources: () => Promise<DebianSources>,
  signal: AbortSignal,
): Downloads["apt"] {
  let prepared: Promise<PrivateApt> | undefined;
  const prepare = async (tell: Tell) => {
    tell("reading Debian's lists of packages");
    const chosen = await sources();
    const { backports } = chosen;
    const apt = await PrivateApt.prepare(
      {
        directory: path.join(cacheDirectory, "apt"),
        sources: backports === undefined ? chosen.sources : [...chosen.sources, backports],
        fromBackports: backports === undefined ? [] : ["qemu-*", "seabios", "ipxe-qemu"],
      },
      signal,
    );
    await apt.update(aptProgress(tell), signal);
    return apt;
  };
  return (tell) => (prepared ??= prepare(tell));
}

/** Of what apt prints, a person wants to see what is being fetched. */
function aptProgress(tell: Tell): (line: string) => void {
  return (line) => {
    const fetched = /^Get:\d+ \S+ (.*)$/.exec(line)?.[1];
    if (fetched !== undefined) tell(`fetching ${fetched}`);
  };
}

interface Planned {
  readonly version: string;
  readonly fetch: (onLine: (line: string) => void) => Promise<string[]>;
}

async function provide(
  from: Downloads & { readonly keep: boolean },
  name: "qemu" | "kernel",
  tell: Tell,
  signal: AbortSignal,
  plan: (apt: PrivateApt) => Promise<Planned>,
): Promise<Unpacked> {
  const kept = from.keep ? await newestKept(from.cacheDirectory, name, signal) : undefined;
  if (kept !== undefined && !from.refresh) {
    tell(`${name} ${kept.version}, kept from before`);
    return kept;
  }
  const apt = await from.apt(tell);
  const { version, fetch } = await plan(apt);
  if (kept?.version === withoutEpoch(version)) {
    tell(`${name} ${kept.version} is still the newest`);
    return kept;
  }
  tell(`fetching ${name} ${version}`);
  const files = await fetch(aptProgress(tell));
  return unpack(from.cacheDirectory, name, withoutEpoch(version), files, tell, signal);
}

async function unpack(
  cacheDirectory: string,
  name: string,
  version: string,
  files: readonly string[],
  tell: Tell,
  signal: AbortSignal,
): Promise<Unpacked> {
  const temporary = await mkdtemp(path.join(cacheDirectory, unfinished.unpacked));
  const directory = path.join(cacheDirectory, `${name}-${version}`);
  const packages = files.map((file) => path.basename(file));
  try {
    const root = path.join(temporary, "root");
    await mergedUsr(root);
    for (const [index, file] of files.entries()) {
      tell(`unpacking ${path.basename(file)}`, index / files.length);
      await runCommand("sh", ["-c", extraction, "sh", file, root], {}, signal);
    }
    await writeStamp(temporary, { version, packages }, signal);
    await chmod(temporary, 0o755);
    await rm(directory, { recursive: true, force: true });
    await rename(temporary, directory);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  for (const file of files) await rm(file, { force: true });
  tell(`${name} ${version}`);
  return { version, root: path.join(directory, "root"), packages };
}

/** Not `dpkg-deb --extract`: that puts a directory in the place of the links below. */
const extraction =
  'dpkg-deb --fsys-tarfile "$1" | tar --extract --keep-directory-symlink --no-same-owner --directory "$2"';

/** `/lib` and its like are links into `/usr` on today's systems; older packages still have files under both names. */
async function mergedUsr(root: string): Promise<void> {
  for (const name of ["bin", "lib", "lib64", "sbin"]) {
    await mkdir(path.join(root, "usr", name), { recursive: true });
    await symlink(`usr/${name}`, path.join(root, name));
  }
}

/** The newest whole one in the cache. */
async function newestKept(
  cacheDirectory: string,
  name: string,
  signal: AbortSignal,
): Promise<Unpacked | undefined> {
  const names = await readdir(cacheDirectory).catch(() => []);
  const collator = new Intl.Collator("en", { numeric: true });
  const newestFirst = names
    .filter((each) => each.startsWith(`${name}-`))
    .sort((a, b) => collator.compare(b, a));
  for (const each of newestFirst) {
    const directory = path.join(cacheDirectory, each);
    const facts = await readStamp<{ version: string; packages: string[] }>(directory, signal);
    if (facts !== undefined) return { ...facts, root: path.join(directory, "root") };
  }
  return undefined;
}

/** `1:10.0.2+ds-2` → `10.0.2`. */
function upstream(version: string): string {
  return /^\d+(?:\.\d+)*/.exec(withoutEpoch(version))?.[0] ?? "0";
}

function withoutEpoch(version: string): string {
  return version.replace(/^\d+:/, "");
}
