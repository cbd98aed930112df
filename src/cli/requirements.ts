import { execFile } from "node:child_process";
import { statfs } from "node:fs/promises";
import { availableParallelism, freemem, totalmem } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { Failure } from "../base/failure.ts";
import type { Configuration } from "../daemon/configuration.ts";
import { findDaemon } from "../daemon/presence.ts";
import { systemClock } from "../base/clock.ts";
import { daemonName } from "../daemon/run-directory.ts";
import { ControlGroups } from "../machine/control-groups.ts";
import { chooseAccelerator } from "../machine/accelerator.ts";
import { findQemu } from "../machine/qemu-install.ts";

/** One requirement: what was found, and if that is not enough, what mends it. */
export interface Requirement {
  readonly name: string;
  readonly found: string;
  /** A command to run, or a sentence; undefined when nothing needs mending. */
  readonly mend?: string;
}

type Check = () => Promise<Omit<Requirement, "name">>;

const gigabyte = 1e9;
/** Downloads, root disk, bucket and shelf of one template. */
const diskBytesMin = 4 * gigabyte;
/** One guest, the daemon, and the making of a template. */
const memoryBytesMin = gigabyte;
const nodeMajorMin = 24;

/** Looks at everything this machine must have, one thing after the other. */
export async function checkRequirements(
  configuration: Configuration,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Requirement[]> {
  const checks: Record<string, Check> = {
    system,
    "Node.js": node,
    "Debian packages": packages,
    QEMU: () => qemu(configuration.cache),
    accelerator: () => accelerator(configuration.accel),
    confinement: () => confinement(signal),
    bounds: () => bounds(configuration.data),
    "internet access": () => internetAccess(signal),
    "first starts": () => firstStarts(signal),
    "free disk": () => disk(configuration.data),
    memory,
    daemon: () => daemon(configuration, env),
    ...(configuration.peers === undefined ? {} : { peers: () => peers(configuration) }),
  };
  const all: Requirement[] = [];
  for (const [name, check] of Object.entries(checks)) {
    signal.throwIfAborted();
    const failed = (error: unknown) => ({
      found: Failure.from(error).message,
      mend: "see the message above",
    });
    all.push({ name, ...(await check().catch(failed)) });
  }
  return all;
}

const system: Check = async () => {
  const found = `${process.platform} on ${process.arch}, ${availableParallelism()} processors`;
  const fits = process.platform === "linux" && process.arch === "x64";
  return fits ? { found } : { found, mend: "Linux on x86-64 is needed" };
};

const node: Check = async () => {
  const fits = Number(process.versions.node.split(".")[0]) >= nodeMajorMin;
  return fits ? { found: process.versions.node } : { found: process.versions.node, mend: "npm start" };
};

/** What `bin/lib/packages.mjs` offers; the installer runs on older Nodes and cannot be TypeScript. */
interface PackageList {
  requiredPackages(release: object, options: { tests: boolean }): object[];
  missingPackages(required: object[]): string[];
  aptCommand(names: string[]): string[];
  readOsRelease(): { ID?: string; VERSION_ID?: string };
}

const packages: Check = async () => {
  const list = (await import(new URL("../../bin/lib/packages.mjs", import.meta.url).href)) as PackageList;
  const required = list.requiredPackages(list.readOsRelease(), { tests: false });
  const missing = list.missingPackages(required);
  if (missing.length === 0) return { found: `all ${required.length}` };
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  return { found: `missing: ${missing.join(", ")}`, mend: `${sudo}${list.aptCommand(missing).join(" ")}` };
};

async function qemu(cache: string) {
  try {
    const { version, binary } = await findQemu(cache);
    return { found: `${version} (${binary})` };
  } catch (error) {
    if (!Failure.is(error, "not_found")) throw error;
    return {
      found: "none that is new enough",
      mend: "npm start (it fetches one into the cache of downloads)",
    };
  }
}

async function accelerator(wanted: Configuration["accel"]) {
  const { kind, reason } = await chooseAccelerator(wanted);
  return { found: `${kind}: ${reason}` };
}

/** Whether a virtual machine can be locked up: namespaces may be forbidden to ordinary users. */
async function confinement(signal: AbortSignal) {
  const args = ["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true"];
  try {
    await promisify(execFile)("bwrap", args, { signal, timeout: 10_000 });
    return { found: "bubblewrap works" };
  } catch (error) {
    signal.throwIfAborted();
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === "ENOENT") return { found: "there is no bwrap", mend: "npm start" };
    const mend =
      "sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0";
    return { found: `bubblewrap fails: ${(stderr ?? "").trim()}`, mend };
  }
}

/** Whether the memory, time, threads and disk of a virtual machine's process can be bounded. */
async function bounds(data: string) {
  const groups = await ControlGroups.find({ daemon: daemonName(data), clock: systemClock });
  if (groups.unbounded.length === 0) return { found: groups.describe() };
  const found = `${groups.describe()}; not bounded: ${groups.unbounded.join(", ")}`;
  return { found, mend: "run the daemon as root, or in a systemd service of its user with Delegate=yes" };
}

/** Whether sandboxes get a way to the internet: makes one network and ends it. */
async function internetAccess(signal: AbortSignal) {
  const { probeNetwork } = await import("../network/probe-network.ts");
  return probeNetwork(signal);
}

/** Whether a machine can begin before its memory is whole: serves a small one and ends it. */
async function firstStarts(signal: AbortSignal) {
  const { probeMemory } = await import("../memory/probe-memory.ts");
  return probeMemory(signal);
}

async function disk(data: string) {
  const { bavail, bsize } = await statfs(await nearest(data));
  const found = `${((bavail * bsize) / gigabyte).toFixed(1)} GB at ${data}`;
  if (bavail * bsize >= diskBytesMin) return { found };
  return { found, mend: `make ${diskBytesMin / gigabyte} GB free, or set LARDER_DATA to a larger disk` };
}

/** The directory itself or, before the first start, the nearest one above it that exists. */
async function nearest(directory: string): Promise<string> {
  const exists = await statfs(directory).then(
    () => true,
    () => false,
  );
  return exists || directory === path.dirname(directory) ? directory : await nearest(path.dirname(directory));
}

const memory: Check = async () => {
  const found = `${(freemem() / gigabyte).toFixed(1)} of ${(totalmem() / gigabyte).toFixed(1)} GB free`;
  return freemem() >= memoryBytesMin ? { found } : { found, mend: "end something that uses much memory" };
};

/** Whether every other node can be reached, and knows the same secret. */
async function peers({ peers = [], peerSecret = "" }: Configuration) {
  const { findPeers } = await import("../daemon/node-peers.ts");
  const silent = await findPeers(peers, peerSecret, AbortSignal.timeout(5_000));
  const found = `${peers.length - silent.length} of ${peers.length} answer`;
  if (silent.length === 0) return { found };
  return {
    found: `${found}; not: ${silent.join("; ")}`,
    mend: "start them, with the same LARDER_PEER_SECRET",
  };
}

async function daemon({ data }: Configuration, env: NodeJS.ProcessEnv) {
  const presence = await findDaemon(data);
  if (presence === undefined) return { found: `none runs on ${data}; npm start starts one` };
  const { connectToApi } = await import("./find-api.ts");
  const api = await connectToApi(env);
  const answer = await api.page({ method: "GET", path: "/templates/base" }, AbortSignal.timeout(10_000)).then(
    () => "with the template base",
    (error: unknown) => (Failure.is(error, "not_found") ? "without a template" : Failure.from(error).message),
  );
  return { found: `${presence.url}, process ${presence.pid}, ${answer}` };
}
