import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Candidate } from "./nbd-clients.ts";

/** Starts nbdkit, qemu-nbd and Larder, in this order, each on a socket of its own, all on one file. */
export async function startServers(
  directory: string,
  file: string,
  held: AsyncDisposableStack,
): Promise<Candidate[]> {
  const socketOf = (name: string) => path.join(directory, `${name}.sock`);
  const server = path.join(import.meta.dirname, "nbd-server.ts");
  const threads = process.env["BENCH_THREADS"];
  const commands: Record<string, string[]> = {
    nbdkit: ["nbdkit", "--foreground", "--readonly", "--unix", socketOf("nbdkit"), "file", file],
    "qemu-nbd": [
      ...["qemu-nbd", "--read-only", "--format=raw", "--persistent", "--shared=8"],
      ...["--socket", socketOf("qemu-nbd"), file],
    ],
    larder: [process.execPath, server, socketOf("larder"), file, ...(threads === undefined ? [] : [threads])],
  };
  const servers: Candidate[] = [];
  for (const [name, [program = "", ...rest]] of Object.entries(commands)) {
    const child = spawn(program, rest, { stdio: ["pipe", "ignore", "inherit"] });
    held.defer(() => ended(child));
    const socket = socketOf(name);
    for (let turn = 0; !existsSync(socket); turn++) {
      if (turn === 200 || child.exitCode !== null) throw new Error(`${name} does not start`);
      await delay(50);
    }
    servers.push({ name, socket });
  }
  return servers;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill();
  await exit;
}
