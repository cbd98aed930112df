import { spawn } from "node:child_process";
import path from "node:path";
import { withCompileCache } from "./compile-cache.mjs";

/** The environment in which the project's own tools, its Node first among them, are found before any others. */
export function toolEnvironment(home) {
  const tools = path.join(home, "node_modules", ".bin");
  const environment = withCompileCache(home, process.env);
  return { ...environment, PATH: `${tools}${path.delimiter}${process.env.PATH ?? ""}` };
}

/**
 * Runs one command to its end and prints its name, seconds and outcome; all that it said, only when it failed.
 * Resolves to true when it ended well.
 */
export async function runStep(home, name, [command, ...args]) {
  const begun = performance.now();
  const child = spawn(command, args, {
    cwd: home,
    env: toolEnvironment(home),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => said.push(piece));
  const failure = await new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(code === 0 ? undefined : `ended with ${signal ?? code}`));
  });
  const seconds = ((performance.now() - begun) / 1000).toFixed(1).padStart(5);
  console.log(`${failure === undefined ? "ok    " : "FAILED"} ${seconds} s  ${name}`);
  if (failure !== undefined) console.log(`${Buffer.concat(said)}\n${name}: \`${command}\` ${failure}\n`);
  return failure === undefined;
}
