import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";

const launcher = path.join(import.meta.dirname, "../../../bin/larder.mjs");

/** What an operator sees of a node, as far as tests look at it. */
export interface Report {
  readonly sandboxes: readonly { readonly id: string; readonly pid: number; readonly stalled: boolean }[];
  /** Ids of machines that wait for the next sandboxes. */
  readonly pool: readonly string[];
}

export interface Served extends AsyncDisposable {
  readonly url: string;
  readonly apiKey: string;
  readonly data: string;
  readonly pid: number;
  /** What the SDK is told, as the README says. */
  readonly sdk: { readonly apiKey: string; readonly apiUrl: string; readonly sandboxUrl: string };
  /** All that the daemon has printed so far. */
  printed(): string;
  /** The sum of a counter or gauge over all its labels, as `/metrics` shows it. */
  metric(name: string): Promise<number>;
  report(): Promise<Report>;
  /** Runs `larder ARGUMENTS` against this daemon. */
  larder(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<void>;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** The data directory that all tests of one run share, so that the template is made once. */
export function sharedData(): string {
  const data = process.env["LARDER_TEST_DATA"];
  assert.ok(data !== undefined, "run these tests with `npm test`: it makes the template first");
  return data;
}

/** A real daemon, started as its users start it. */
export async function serve(env: Record<string, string> = {}, data = sharedData()): Promise<Served> {
  return serveAt("127.0.0.1", [process.execPath], env, data);
}

/** The same where clients find it at another address, and with what starts the program. */
export async function serveAt(
  host: string,
  [program = "", ...before]: readonly string[],
  env: Record<string, string>,
  data = sharedData(),
): Promise<Served> {
  const port = Number(env["LARDER_PORT"] ?? (await freePort()));
  const all = { ...process.env, LARDER_DATA: data, LARDER_PORT: String(port), ...env };
  const child = spawn(program, [...before, launcher, "up"], { env: all, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => (printed += String(piece)));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = `http://${host}:${port}`;
  await ready(url, child, () => printed);
  const apiKey = env["LARDER_API_KEY"] ?? (await readFile(path.join(data, "api-key"), "utf8")).trim();
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
    return child.exitCode;
  };
  return {
    url,
    apiKey,
    data,
    pid: child.pid ?? 0,
    sdk: { apiKey, apiUrl: url, sandboxUrl: url },
    printed: () => printed,
    metric: async (name) => sumOf(name, await (await fetch(`${url}/metrics`)).text()),
    report: async () => {
      const answer = await fetch(`${url}/larder/report`, { headers: { "X-API-KEY": apiKey } });
      return (await answer.json()) as Report;
    },
    larder: (...args) => run([...before, launcher, ...args], { ...all, LARDER_API_KEY: apiKey }, program),
    ...{ ended, end },
    [Symbol.asyncDispose]: async () => void (await end("SIGINT")),
  };
}

async function ready(url: string, child: ChildProcess, printed: () => string): Promise<void> {
  const until = Date.now() + 600_000;
  for (;;) {
    if (child.exitCode !== null || Date.now() > until)
      assert.fail(`the daemon did not get ready:\n${printed()}`);
    const answer = await fetch(`${url}/healthz`).catch(() => undefined);
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function run(args: string[], env: NodeJS.ProcessEnv, program = process.execPath) {
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, code] = await Promise.all([
    child.stdout.toArray(),
    child.stderr.toArray(),
    new Promise<number | null>((resolve) => child.once("exit", resolve)),
  ]);
  return {
    code,
    stdout: Buffer.concat(stdout as Buffer[]).toString(),
    stderr: Buffer.concat(stderr as Buffer[]).toString(),
  };
}

export function sumOf(name: string, exposition: string): number {
  let sum = 0;
  for (const line of exposition.split("\n")) {
    const match = /^([a-zA-Z_:]+)(?:\{[^}]*\})? (\S+)$/.exec(line);
    if (match?.[1] === name) sum += Number(match[2]);
  }
  return sum;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}

/** Asserts that `larder doctor --leaks` finds nothing: of no sandbox is anything left that it does not own. */
export async function assertNoLeaks(served: Served): Promise<void> {
  const { stdout } = await served.larder("doctor", "--leaks", "--json");
  const nothing = { processes: [], sockets: [], files: [], mounts: [], groups: [] };
  assert.deepEqual(JSON.parse(stdout), nothing);
}
