import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { Failure } from "../base/failure.ts";
import { identityByArgument, type ProcessIdentity } from "../base/processes.ts";
import { addresses, uplinkName } from "./addresses.ts";
import { asUser, toolEnvironment } from "./as-user.ts";

/** Where pasta is to work. */
export interface UplinkPlace {
  /** For its process number, which is also what it is found by. */
  readonly directory: string;
  readonly userNamespace: string;
  readonly netNamespace: string;
}

/**
 * The command that connects a network namespace to the host's own network, by ordinary sockets: passt(1). Nothing
 * leads back in, neither to the host's loopback nor from it, and the host's network is not changed.
 */
export function uplinkCommand({ directory, userNamespace, netNamespace }: UplinkPlace): string[] {
  const { inner, uplink, prefixBits } = addresses;
  return [
    ...["pasta", "--config-net", "--ipv4-only", "--quiet"],
    // Without these, the gateway's address is the host's loopback, and ports are forwarded both ways.
    "--no-map-gw",
    ...["--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"],
    ...["--ns-ifname", uplinkName, "--address", inner, "--netmask", String(prefixBits), "--gateway", uplink],
    ...["--dns-forward", uplink, "--pid", uplinkPidFile(directory)],
    ...["--userns", userNamespace, "--netns", netNamespace],
  ];
}

export function uplinkPidFile(directory: string): string {
  return path.join(directory, "uplink.pid");
}

/** Resolves when the uplink works; it runs on by itself. Throws `unavailable` with what it said. */
export async function startUplink(
  place: UplinkPlace,
  uid: number | undefined,
  signal: AbortSignal,
): Promise<ProcessIdentity> {
  const [program, args] = asUser(uid, uplinkCommand(place));
  try {
    await promisify(execFile)(program, args, { env: toolEnvironment, cwd: "/", signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new Failure("unavailable", `pasta does not connect a network: ${complaint(error)}`);
  }
  const file = uplinkPidFile(place.directory);
  // Its user could write any number there: only a process that was started for this counts.
  const identity = await identityByArgument(Number(await readFile(file, "utf8").catch(() => "0")), file);
  if (identity === undefined) throw new Failure("unavailable", "pasta ended as soon as it had started");
  return identity;
}

/** It complains about a system log that is not there as well. */
function complaint(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  const lines = (stderr ?? "").split("\n").filter((line) => line !== "" && !line.endsWith("to syslog"));
  return lines.join("; ").slice(0, 500) || message.slice(0, 500);
}
