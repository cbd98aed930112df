import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface S3Server extends AsyncDisposable {
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const keys = { accessKeyId: "TESTKEY", secretAccessKey: "TESTSECRET" };

/**
 * A real S3 server: Debian's radosgw over a monitor and one memory-backed store of Ceph, on loopback alone. It is up
 * in about 20 s, and takes its own directory with it when it goes.
 */
export async function startS3Server(): Promise<S3Server> {
  const directory = await mkdtemp("/var/tmp/larder-s3-");
  const children: ChildProcess[] = [];
  const dispose = async () => {
    for (const child of children.toReversed()) await end(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    return { ...(await start(directory, children)), ...keys, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    const logs = await Promise.all(["mon", "osd", "rgw"].map((name) => lastLines(directory, name)));
    await dispose();
    throw new Error(`no S3 server could be started:\n${logs.join("\n")}`, { cause: error });
  }
}

async function start(directory: string, children: ChildProcess[]): Promise<{ url: string }> {
  const [monitor, monitorV1, port] = [await freePort(), await freePort(), await freePort()];
  const config = path.join(directory, "ceph.conf");
  const cluster = randomUUID();
  const addresses = `[v2:127.0.0.1:${monitor},v1:127.0.0.1:${monitorV1}]`;
  for (const name of ["mon", "osd", "run", "rgw"]) await mkdir(path.join(directory, name));
  await writeFile(config, configuration(directory, cluster, addresses, port));
  const serve = (program: string, args: string[]) => {
    const child = spawn(program, ["-c", config, ...args, "-f"], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) stream.resume();
    child.on("error", () => {});
    children.push(child);
  };
  await makeKeys(directory);
  const map = path.join(directory, "monmap");
  await run("monmaptool", ["--create", "--fsid", cluster, "--addv", "a", addresses, map]);
  const keyring = path.join(directory, "keyring");
  await run("ceph-mon", ["-c", config, "--mkfs", "-i", "a", "--monmap", map, "--keyring", keyring]);
  serve("ceph-mon", ["-i", "a"]);
  const ceph = (...args: string[]) => run("ceph", ["-c", config, ...args], { timeout: 20_000 });
  await eventually("the monitor", async () => ceph("-s").then(() => true));
  const osd = randomUUID();
  await ceph("osd", "new", osd);
  await ceph("auth", "import", "-i", keyring);
  // It complains that there is no disk to be found, which there need not be.
  await run("ceph-osd", ["-c", config, "-i", "0", "--mkfs", "--osd-uuid", osd]).catch(() => {});
  serve("ceph-osd", ["-i", "0"]);
  await eventually("the store", async () => (await ceph("osd", "stat")).stdout.includes("1 up"));
  const user = ["--uid=test", "--display-name=test", `--access-key=${keys.accessKeyId}`];
  await run("radosgw-admin", [
    ...["-c", config, "-n", "client.rgw", "user", "create", ...user],
    `--secret-key=${keys.secretAccessKey}`,
  ]);
  serve("radosgw", ["-n", "client.rgw"]);
  const url = `http://127.0.0.1:${port}`;
  await eventually("the gateway", async () => fetch(url).then(() => true));
  return { url };
}

/** Ceph wants its own authentication even where nobody else can come. */
async function makeKeys(directory: string): Promise<void> {
  const keyring = path.join(directory, "keyring");
  const all = ["mon", "osd", "mgr"].flatMap((part) => ["--cap", part, "allow *"]);
  await run("ceph-authtool", ["-C", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"]);
  for (const name of ["client.admin", "client.rgw", "osd.0"])
    await run("ceph-authtool", [keyring, "--gen-key", "-n", name, ...all]);
}

function configuration(directory: string, cluster: string, addresses: string, port: number): string {
  const settings = {
    fsid: cluster,
    keyring: `${directory}/keyring`,
    "mon host": addresses,
    "osd pool default size": 1,
    "osd pool default min size": 1,
    "osd pool default pg num": 8,
    "osd crush chooseleaf type": 0,
    "mon allow pool size one": true,
    "mon max pg per osd": 1000,
    "run dir": `${directory}/run`,
    "admin socket": `${directory}/run/$name.asok`,
    "log file": `${directory}/$name.log`,
    "osd objectstore": "memstore",
    "memstore device bytes": 4 * 2 ** 30,
    "osd data": `${directory}/osd`,
    "mon data": `${directory}/mon`,
    "public addr": "127.0.0.1",
    "ms bind ipv6": false,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const gateway = [`rgw frontends = beast endpoint=127.0.0.1:${port}`, `rgw data = ${directory}/rgw`];
  return ["[global]", ...lines, "[client.rgw]", ...gateway, ""].join("\n");
}

/** Asks until the answer is yes; for programs that say nothing when they are ready. */
async function eventually(what: string, ask: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (performance.now() < end) {
    if (await ask().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`${what} did not come up within a minute`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL"); // all it holds goes with its directory
  await exited;
}

async function lastLines(directory: string, name: string): Promise<string> {
  const file = { mon: "mon.a.log", osd: "osd.0.log", rgw: "client.rgw.log" }[name] ?? "";
  const text = await readFile(path.join(directory, file), "utf8").catch(() => "");
  return `${name}: ${text.split("\n").slice(-15).join("\n")}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => void server.close(resolve));
  return port;
}
