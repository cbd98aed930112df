import { createServer, type Socket } from "node:net";
import { userInfo } from "node:os";
import { startAgent } from "../guest/agent.ts";
import { loadKoffi } from "../guest/foreign.ts";
import { hugePageBytes, mapAnonymous } from "../guest/lane-memory.ts";
import type { MachineIdentity } from "../guest/machine-identity.ts";
import type { Port } from "../guest/port.ts";

/**
 * The guest program as a process of this host, behind a Unix socket that stands for the virtio-serial port:
 *   node local-guest.ts SOCKET SECRET KOFFI [USER]
 * It starts real processes and writes real files here, but leaves clock, names and random numbers of the host alone.
 */
const [, , path = "", secret = "", koffiPath = "", user = userInfo().username] = process.argv;
const koffi = loadKoffi(koffiPath);

/** Like the port in a machine: one peer at a time, the newest; what is written while nobody is there waits. */
class SocketPort implements Port {
  readonly #queue: { bytes: Buffer; done: () => void }[] = [];
  #listener: ((bytes: Buffer) => void) | undefined;
  #peer: Socket | undefined;

  constructor(path: string) {
    createServer((peer) => this.#welcome(peer)).listen(path, () => process.stdout.write("listening\n"));
  }

  listen(listener: (bytes: Buffer) => void): void {
    this.#listener = listener;
  }

  write(bytes: Buffer, done: () => void): void {
    if (this.#peer === undefined) this.#queue.push({ bytes, done });
    else this.#peer.write(bytes, done);
  }

  #welcome(peer: Socket): void {
    this.#peer?.destroy();
    this.#peer = peer;
    peer.on("data", (bytes) => this.#listener?.(bytes));
    peer.on("error", () => {});
    peer.on("close", () => {
      if (this.#peer === peer) this.#peer = undefined;
    });
    for (const { bytes, done } of this.#queue.splice(0)) peer.write(bytes, done);
  }
}

const identity: MachineIdentity = {
  now: () => Date.now(),
  setClock: () => {},
  addEntropy: () => {},
  setHostname: () => {},
  setBootId: () => {},
  setMachineId: () => {},
  showFact: () => {},
};

startAgent({
  port: new SocketPort(path),
  secret: Buffer.from(secret, "hex"),
  inheritance: `${path}-inheritance`,
  identity,
  koffi,
  defaultUser: user,
  path: process.env["PATH"] ?? "/usr/bin:/bin",
  inTerminal: ["setsid", "-c"],
  spared: false,
  takeLanePage: () => mapAnonymous(koffi, hugePageBytes), // Addresses are those of this process.
});
process.stdin.on("end", () => process.exit(0)).resume(); // Ends with whoever started it.
