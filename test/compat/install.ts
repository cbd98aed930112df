import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";

/**
 * The directory of one published package, installed by npm into the cache of downloads on the first call. Its scripts
 * are not run.
 */
export async function installed(version: string): Promise<string> {
  const cache = process.env["LARDER_CACHE"] ?? path.join(homedir(), ".cache/larder");
  const directory = path.join(cache, "compat", `e2b-${version}`);
  const place = path.join(directory, "node_modules/e2b");
  const there = await access(place).then(
    () => true,
    () => false,
  );
  if (!there) await install(version, directory);
  const { version: found } = JSON.parse(await readFile(path.join(place, "package.json"), "utf8")) as {
    version: string;
  };
  if (found !== version) throw new Error(`${place} is version ${found}: remove it`);
  return place;
}

/** Into a directory beside it first: what is there is whole. */
async function install(version: string, directory: string): Promise<void> {
  const draft = `${directory}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  await writeFile(path.join(draft, "package.json"), JSON.stringify({ dependencies: { e2b: version } }));
  const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  const npm = spawn("npm", ["install", ...quiet], { cwd: draft, stdio: ["ignore", "ignore", "inherit"] });
  const [code] = (await once(npm, "exit")) as [number | null];
  if (code !== 0) throw new Error(`npm could not install e2b ${version}`);
  await rm(directory, { recursive: true, force: true });
  await rename(draft, directory);
}
