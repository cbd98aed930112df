import { randomUUID } from "node:crypto";
import { AgentClient, type AgentSettings } from "../agent/agent-client.ts";
import type { AgentChannel } from "../agent/channel.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Random } from "../base/random.ts";
import { baseRecipe } from "./base-recipe.ts";
import type { Tell } from "./progress.ts";

/** How often each kind of call is made. After some dozens the agent has run all of its code that clients use. */
const calls = { health: 60, files: 8, commands: 6, sessions: 4 } as const;
/** What the agent does by itself after the last call, such as making its next session, is done by then. */
const restMs = 1_000;
const entropyBytes = 64;
/** As long as the names of sandboxes: the files that hold it need not grow when they wake up. */
const hostname = "i".padEnd(21, "0");

interface Settling {
  /** Ended when the machine has settled. */
  readonly channel: AgentChannel;
  readonly reconnect: (signal: AbortSignal) => Promise<AgentChannel>;
  readonly clock: Clock;
  readonly random: Random;
  readonly tell: Tell;
}

/**
 * Brings a machine that has just booted into the state that sandboxes wake up in: the agent has answered each kind
 * of call that clients make, nothing waits to be written, and what booting left in memory is gone.
 */
export async function settle(options: Settling, signal: AbortSignal): Promise<void> {
  const { channel, reconnect, clock, tell } = options;
  const client = new AgentClient(channel);
  tell("warming the agent", 0);
  await client.init(settingsFrom(options), signal);
  checkTimers((await client.run(askTimers, {}, signal)).stdout);
  for (let i = 0; i < calls.health; i++) await client.health(signal);
  for (let i = 0; i < calls.files; i++) await useFiles(channel, signal);
  tell("emptying caches", 0.4);
  await asRoot(client, tidy, signal);
  // Last, so that a login shell is in memory and needs no disk.
  tell("warming a login shell", 0.6);
  for (let i = 0; i < calls.commands; i++) {
    await client.run("true", {}, signal);
    await drained(channel, startRequest(), signal);
  }
  await channel.close();
  tell("waking up as sandboxes do", 0.8);
  for (let i = 0; i < calls.sessions; i++) {
    await using again = await reconnect(signal);
    await new AgentClient(again).init(settingsFrom(options), signal);
  }
  await clock.sleep(restMs, signal);
}

/** The device that wakes each processor; nothing where the kernel does not tell. */
const askTimers = "cat /sys/devices/system/clockevents/clockevent*/current_device 2>/dev/null; true";

/**
 * A kernel that boots on an emulated processor which is kept from running takes the timer of its processor for broken
 * and uses that of an old PC. A machine that was saved like this may never be woken again. Throws `unavailable`.
 */
export function checkTimers(devices: string): void {
  const wrong = devices.split("\n").find((device) => device !== "" && !device.startsWith("lapic"));
  if (wrong !== undefined)
    throw new Failure("unavailable", `the guest's kernel is woken by '${wrong}': this host was too busy`);
}

/** What clients ask a sandbox for first. */
export async function firstCalls(
  channel: AgentChannel,
  options: Calling,
  signal: AbortSignal,
): Promise<void> {
  const accessToken = options.random.bytes(16).toString("hex");
  const envVars = { E2B_SANDBOX: "true", E2B_SANDBOX_ID: hostname };
  await new AgentClient(channel).init({ ...settingsFrom(options), accessToken, envVars }, signal);
  const own = { "x-access-token": accessToken };
  await drained(channel, startRequest(own), signal);
  await useFiles(channel, signal, own);
}

type Headers = Readonly<Record<string, string>>;
export type Calling = Pick<Settling, "clock" | "random">;

function settingsFrom({ clock, random }: Calling): AgentSettings {
  const { defaultUser, defaultWorkdir } = baseRecipe;
  const own = { hostname, envVars: {}, defaultUser, defaultWorkdir, bootId: randomUUID() };
  return { ...own, nowMs: clock.now(), entropy: random.bytes(entropyBytes) };
}

/** What a boot leaves: files in the page cache that nobody needs again, and dirty pages. */
const tidy = "rm -f /tmp/.warm; sync; echo 3 > /proc/sys/vm/drop_caches";

async function asRoot(client: AgentClient, command: string, signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } = await client.run(command, { user: "root" }, signal);
  if (exitCode !== 0) throw new Failure("internal", `the guest could not tidy up: ${stderr.trim()}`);
}

/** Writes, reads and lists, as the SDK does. */
async function useFiles(channel: AgentChannel, signal: AbortSignal, own: Headers = {}): Promise<void> {
  const file = `/files?path=${encodeURIComponent("/tmp/.warm")}&username=${baseRecipe.defaultUser}`;
  const octets = { ...own, "content-type": "application/octet-stream" };
  await drained(channel, { method: "POST", path: file, headers: octets, body: Buffer.from("warm") }, signal);
  const form = { ...own, "content-type": "multipart/form-data; boundary=b" };
  const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nwarm\r\n--b--\r\n';
  await drained(channel, { method: "POST", path: file, headers: form, body: Buffer.from(part) }, signal);
  await drained(channel, { method: "GET", path: file, headers: own }, signal);
  const body = Buffer.from(JSON.stringify({ path: baseRecipe.defaultWorkdir, depth: 1 }));
  const headers = { ...own, "content-type": "application/json", "connect-protocol-version": "1" };
  await drained(channel, { method: "POST", path: "/filesystem.Filesystem/ListDir", headers, body }, signal);
}

/** What the SDK sends with each command (npm `e2b` 2.51.0, seen on the wire): the agent has heard it all before. */
const asSdk = {
  accept: "*/*",
  "accept-encoding": "gzip, deflate",
  "accept-language": "*",
  "connect-protocol-version": "1",
  "connect-timeout-ms": "60000",
  "keepalive-ping-interval": "50",
  "sec-fetch-mode": "cors",
  "user-agent": "e2b-js-sdk/2.51.0",
};

/** A command as the SDK starts one: a stream of JSON messages, each after a byte of flags and its length. */
function startRequest(own: Headers = {}): Parameters<AgentChannel["request"]>[0] {
  const process = { cmd: "/bin/bash", args: ["-l", "-c", "true"], envs: {} };
  const message = Buffer.from(JSON.stringify({ process, stdin: false }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  const headers = { ...asSdk, ...own, "content-type": "application/connect+json" };
  return { method: "POST", path: "/process.Process/Start", headers, body: Buffer.concat([head, message]) };
}

async function drained(
  channel: AgentChannel,
  request: Parameters<AgentChannel["request"]>[0],
  signal: AbortSignal,
): Promise<void> {
  const { status, body } = await channel.request(request, signal);
  for await (const _ of body as AsyncIterable<Buffer>);
  if (status >= 300) throw new Failure("internal", `the agent answered ${request.path} with ${status}`);
}
