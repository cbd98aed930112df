import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { installed } from "./install.ts";
import { localTarget, realTarget, type Target } from "./target.ts";
import { versions } from "./versions.ts";

/**
 * Plays one scenario with published packages, the oldest first, plain and over TLS, and prints what worked.
 *
 *   node test/compat/run.ts [VERSION …]          against an API over an agent on this host
 *   node test/compat/run.ts --real [VERSION …]   against a daemon with virtual machines, on LARDER_TEST_DATA
 */
const scenarioMsMax = 90_000;
const scenario = path.join(import.meta.dirname, "scenario.mjs");

type Outcome = Readonly<Record<string, string>>;

const { values, positionals } = parseArgs({ options: { real: { type: "boolean" } }, allowPositionals: true });
const chosen = positionals.length === 0 ? versions : positionals;
let failed = 0;
await using target = await (values.real === true ? realTarget() : localTarget());
console.log("version   plain                 TLS");
for (const version of chosen) {
  const place = await installed(version);
  const cells = [];
  for (const way of ["plain", "TLS"] as const) cells.push(await cell(place, way, target));
  console.log(`${version.padEnd(10)}${cells.map((text) => text.padEnd(22)).join("")}`.trimEnd());
}
console.log(failed === 0 ? "All that can work works." : `${failed} scenarios failed.`);
process.exitCode = failed === 0 ? 0 : 1;

async function cell(place: string, way: "plain" | "TLS", { ways }: Target): Promise<string> {
  if (way === "plain" && !(await knowsPlain(place))) return "– needs names";
  const outcome = await play(place, ways[way]);
  const steps = Object.entries(outcome);
  const wrong = steps.filter(([name, text]) => text !== "ok" && !excused(place, way, name));
  const excuses = steps.filter(([, text]) => text !== "ok").length - wrong.length;
  for (const [name, text] of wrong)
    console.log(`  ${path.basename(path.join(place, "../.."))} ${way}: ${name}: ${text}`);
  if (wrong.length > 0) failed += 1;
  const good = steps.length - wrong.length - excuses;
  return `${good} of ${steps.length}${excuses > 0 ? " (no files)" : ""}${wrong.length > 0 ? " FAILED" : ""}`;
}

/** Packages that do not know this variable find sandboxes by name alone. */
async function knowsPlain(place: string): Promise<boolean> {
  return (await readFile(path.join(place, "dist/index.js"), "utf8")).includes("E2B_SANDBOX_URL");
}

/** The first packages that know it send files and health checks without a sandbox id: no server can tell whose. */
function excused(place: string, way: string, step: string): boolean {
  const nameless = ["write", "read", "list files", "running", "gone"];
  return way === "plain" && /e2b-2\.8\./.test(place) && nameless.includes(step);
}

/** One scenario in a process of its own, which is ended when it takes too long. */
async function play(place: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  const child = spawn(process.execPath, [scenario, place], { env, stdio: ["ignore", "pipe", "pipe"] });
  const watchdog = setTimeout(() => child.kill("SIGKILL"), scenarioMsMax);
  const [stdout, stderr] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
  clearTimeout(watchdog);
  const said = Buffer.concat(stdout as Buffer[]).toString();
  const last = said.trim().split("\n").at(-1) ?? "";
  if (last.startsWith("{")) return JSON.parse(last) as Outcome;
  const words = Buffer.concat(stderr as Buffer[])
    .toString()
    .trim()
    .slice(-300);
  return { scenario: words === "" ? `it did not end within ${scenarioMsMax / 1000} s` : words };
}
