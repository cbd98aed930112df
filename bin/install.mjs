#!/usr/bin/env node
// Installs what Larder needs and does not find: npm packages as package-lock.json says, then Debian packages.
// Runs on Node 18 or newer and without any dependency, because it is what brings them.
//
//   node bin/install.mjs [--modules-only] [--for-tests]
//
// What is there already costs some milliseconds. Without root it prints the command to run, and exits with 1.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  aptCommand,
  installPackages,
  missingPackages,
  readOsRelease,
  requiredPackages,
} from "./lib/packages.mjs";
import { installModules, staleModules } from "./lib/modules.mjs";

const home = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const known = new Set(["--modules-only", "--for-tests"]);
const flags = new Set(process.argv.slice(2));
for (const flag of flags)
  if (!known.has(flag)) end(`${flag}: only ${[...known].join(" and ")} are known here`);

modules();
if (!flags.has("--modules-only")) packages();

function modules() {
  const reason = staleModules(home);
  if (reason === undefined) return;
  console.log(`Installing npm packages (${reason}) …`);
  if (!installModules(home))
    end("`npm ci` failed: its last lines say why. Run it again when that is mended.");
  const left = staleModules(home);
  if (left !== undefined) end(`\`npm ci\` ended well, but ${left}. Is npm told to omit optional packages?`);
}

function packages() {
  const release = readOsRelease();
  const missing = missingPackages(requiredPackages(release, { tests: flags.has("--for-tests") }));
  if (missing.length === 0) return;
  if (spawnSync("apt-get", ["--version"]).error !== undefined)
    end(
      `Larder needs what Debian packages as ${missing.join(" ")}. This system has no apt-get: install them by hand.`,
    );
  if (process.getuid?.() !== 0) {
    end(
      `Debian packages are missing, and only root may install them. Run:\n\n  sudo ${aptCommand(missing).join(" ")}\n`,
    );
  }
  console.log(`Installing Debian packages: ${missing.join(" ")} …`);
  if (!installPackages(missing))
    end("apt-get failed: its last lines say why. Run this again when that is mended.");
  const left = missingPackages(requiredPackages(release, { tests: flags.has("--for-tests") }));
  if (left.length > 0) end(`apt-get ended well, but what ${left.join(" ")} should bring is still not there.`);
}

function end(sentence) {
  console.error(sentence);
  process.exit(1);
}
