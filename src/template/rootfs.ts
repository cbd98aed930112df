import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { formatDeb822Sources } from "./apt-sources.ts";
import { baseRecipe, rootDiskDigest } from "./base-recipe.ts";
import { removeAsRoot, unfinished } from "./cache-leftovers.ts";
import type { DebianSources } from "./debian-sources.ts";
import { makeExt4 } from "./ext4-image.ts";
import { guestDirectory } from "./initrd.ts";
import { MmdebstrapProgress } from "./mmdebstrap-progress.ts";
import { fetchSettings } from "./private-apt.ts";
import type { Tell } from "./progress.ts";
import { runCommand } from "./run-command.ts";
import { readStamp, writeStamp } from "./stamp.ts";

export interface RootDiskOptions {
  /** The cache, as `LARDER_CACHE` says. The caller holds its lock. */
  readonly cacheDirectory: string;
  readonly sources: DebianSources;
  /** Makes it anew although there is one. */
  readonly refresh: boolean;
}

/** Also after the caller has given up. */
const removeMsMax = 60_000;
const uuid = "6c617264-6572-4261-a573-652064697363";

/**
 * Provides the root disk of `base`, an ext4 image that is kept in the cache under the digest of its recipe, and
 * returns its path. Nobody may write to it: copy it. Packages that were fetched are kept, so that a run that broke
 * off does not fetch them again.
 */
export async function provideRootDisk(
  options: RootDiskOptions,
  tell: Tell,
  signal: AbortSignal,
): Promise<string> {
  const { cacheDirectory, sources, refresh } = options;
  const digest = await rootDiskDigest(sources.suite);
  const directory = path.join(cacheDirectory, `root-disk-${digest.slice(0, 16)}`);
  const image = path.join(directory, "rootfs.ext4");
  if (!refresh) {
    tell("looking for one from before");
    if ((await readStamp(directory, signal)) !== undefined) {
      tell("kept from before");
      return image;
    }
  }
  const temporary = await mkdtemp(path.join(cacheDirectory, unfinished.rootDisk));
  try {
    await make(temporary, options, tell, signal);
    await writeStamp(temporary, { digest }, signal);
    await rm(directory, { recursive: true, force: true });
    await rename(temporary, directory);
    return image;
  } finally {
    await removeAsRoot([temporary], AbortSignal.timeout(removeMsMax));
  }
}

/** Puts `rootfs.ext4` into `directory`, and nothing else. */
async function make(
  directory: string,
  options: RootDiskOptions,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  const root = path.join(directory, "root");
  const sources = path.join(directory, "debian.sources");
  await writeFile(sources, formatDeb822Sources(options.sources.sources));
  const packages = path.join(options.cacheDirectory, `packages-${options.sources.suite}`);
  await mkdir(packages, { recursive: true });
  const args = await mmdebstrapArguments({ root, sources, packages, suite: options.sources.suite }, signal);
  const progress = new MmdebstrapProgress();
  const onLine = (line: string) => {
    const told = progress.next(line);
    if (told !== undefined) tell(told.detail, told.fraction * 0.98);
  };
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await runCommand("mmdebstrap", args, { onLine, env, asRoot: true }, signal);
  tell("making the file system", 0.98);
  const { diskBytes, journalMib } = baseRecipe;
  const image = path.join(directory, "rootfs.ext4");
  await makeExt4({ source: root, image, bytes: diskBytes, journalMib, uuid, asRoot: true }, signal);
  await removeAsRoot([root, sources], signal);
}

interface Places {
  readonly root: string;
  readonly sources: string;
  readonly packages: string;
  readonly suite: string;
}

async function mmdebstrapArguments(places: Places, signal: AbortSignal): Promise<string[]> {
  const settings = [
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'APT::Install-Recommends "false";',
    ...(await fetchSettings(signal)),
  ];
  const customise = await readFile(path.join(guestDirectory, "customise-root"), "utf8");
  return [
    ...["--verbose", "--mode=root", "--variant=minbase", "--format=directory", "--architectures=amd64"],
    `--include=${baseRecipe.packages.join(",")}`,
    ...settings.map((setting) => `--aptopt=${setting.replace(/;$/, "")}`),
    // Nobody needs what a crash would leave of this directory.
    "--dpkgopt=force-unsafe-io",
    // Packages stay until the hooks below have taken them out.
    "--skip=download/empty,essential/unlink",
    `--setup-hook=${leaveOut}`,
    `--setup-hook=mkdir -p "$1/var/cache/apt/archives"`,
    `--setup-hook=sync-in ${quoted(places.packages)} /var/cache/apt/archives`,
    `--essential-hook=sync-out /var/cache/apt/archives ${quoted(places.packages)}`,
    `--customize-hook=sync-out /var/cache/apt/archives ${quoted(places.packages)}`,
    `--customize-hook=${customise}`,
    places.suite,
    places.root,
    places.sources,
  ];
}

/**
 * Has dpkg leave out documentation and translations. mmdebstrap's own option would do that too, but starts a slow
 * filter for each package that it unpacks before dpkg is there.
 */
const leaveOut =
  'mkdir -p "$1/etc/dpkg/dpkg.cfg.d"; ' +
  `printf 'path-exclude=/usr/share/%s/*\\n' man doc locale info > "$1/etc/dpkg/dpkg.cfg.d/01larder"`;

/** mmdebstrap splits the arguments of its own hooks like a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
