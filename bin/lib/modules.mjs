import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/**
 * Says why node_modules is not what package-lock.json asks for, or undefined when it is.
 * npm writes what it installed to node_modules/.package-lock.json; an optional package may be missing there
 * when it is for another system.
 */
export function staleModules(home) {
  const installed = packagesOf(path.join(home, "node_modules", ".package-lock.json"));
  if (installed === undefined) return "none are installed yet";
  const difference = lockDifference(packagesOf(path.join(home, "package-lock.json")) ?? {}, installed);
  if (difference !== undefined) return difference;
  const name = `node-linux-${process.arch}`;
  const node = path.join(home, "node_modules", name, "bin", "node");
  if (!existsSync(node)) return `${name} is not installed`;
  return spawnSync(node, ["--version"]).status === 0 ? undefined : `the program of ${name} does not run`;
}

/** Compares the `packages` of a lock file with those of the hidden one. Pure. */
export function lockDifference(wanted, installed) {
  for (const [place, entry] of Object.entries(wanted)) {
    if (place === "") continue;
    const found = installed[place];
    if (found === undefined && entry.optional === true) continue;
    if (found === undefined) return `${place} is not installed`;
    if (found.version !== entry.version || found.integrity !== entry.integrity)
      return `${place} is not ${entry.version}`;
  }
  for (const place of Object.keys(installed))
    if (!(place in wanted)) return `${place} is installed but not asked for`;
  return undefined;
}

/** `npm ci`, with its output on the screen. True when it ended well. */
export function installModules(home) {
  const args = ["ci", "--no-audit", "--no-fund", "--include=dev", "--include=optional"];
  const env = { ...process.env, PATH: pathWithoutBins(process.env.PATH ?? "", home) };
  return spawnSync("npm", args, { cwd: home, stdio: "inherit", env }).status === 0;
}

/** npm must not run on the Node that it is about to replace, if there is another one. */
function pathWithoutBins(searched, home) {
  const others = searched
    .split(":")
    .filter((folder) => path.resolve(folder) !== path.join(home, "node_modules/.bin"));
  return others.some((folder) => existsSync(path.join(folder, "node"))) ? others.join(":") : searched;
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}
