#!/usr/bin/env node
// Starts Larder with the Node that is pinned in package.json, whatever Node runs this file (18 or newer).
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { withCompileCache } from "./lib/compile-cache.mjs";

const home = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const node = path.join(home, "node_modules", `node-linux-${process.arch}`, "bin", "node");
const environment = withCompileCache(home, process.env);
const args = [path.join(home, "src", "cli", "main.ts"), ...process.argv.slice(2)];

if (existsSync(node)) hand(args);
else {
  console.error(
    `Larder is not installed here yet: run \`npm start\`, or \`node bin/install.mjs\`, in ${home}`,
  );
  process.exitCode = 1;
}

/** Becomes the pinned Node where this Node can do that (22.15 or newer); else runs it as a child. */
function hand(args) {
  if (typeof process.execve === "function") process.execve(node, [node, ...args], environment);
  else runAsChild(args);
}

/** The child gets SIGTERM when this process is killed: nobody could tell it otherwise. */
function runAsChild(args) {
  const setpriv = "/usr/bin/setpriv";
  const command = existsSync(setpriv) ? [setpriv, "--pdeathsig", "TERM", node] : [node];
  const child = spawn(command[0], [...command.slice(1), ...args], { stdio: "inherit", env: environment });
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
    process.on(signal, () => child.kill(signal));
  // A terminal sends these to the child as well; sending them again would count as a second Ctrl-C.
  for (const signal of ["SIGINT", "SIGQUIT"])
    process.on(signal, () => {
      if (!process.stdin.isTTY) child.kill(signal);
    });
  child.on("error", (error) => {
    console.error(`Cannot start ${command[0]}: ${error.message}`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}
