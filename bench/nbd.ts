// How fast a disk is served: nbdkit, qemu-nbd and Larder on the same file, in turn, with three kinds of clients.
// Arguments: rounds, MiB of the file, names of clients.
// Needs nbdkit, nbdcopy, qemu-nbd and qemu-img.
import { mkdtemp, open, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { median, rounded } from "./medians.ts";
import { type Candidate, clients, type Client, LoadClient } from "./nbd-clients.ts";
import { startServers } from "./nbd-servers.ts";

const rounds = Number(process.argv[2] ?? 9);
const deviceBytes = Number(process.argv[3] ?? 1024) * 2 ** 20;
const directory = await mkdtemp(path.join(tmpdir(), "larder-bench-"));
await using held = new AsyncDisposableStack();
held.defer(() => rm(directory, { recursive: true }));

const file = path.join(directory, "disk.raw");
await writeMarkedFile(file, deviceBytes);
const servers: readonly Candidate[] = await startServers(directory, file, held);
const load = held.use(new LoadClient(deviceBytes));
const names = process.argv.slice(4);
const chosen = clients(load, deviceBytes).filter(({ name }) => names.length === 0 || names.includes(name));
const values = new Map<string, number[]>();
for (let round = 0; round < rounds; round++) {
  for (const client of chosen) {
    for (let turn = 0; turn < servers.length; turn++) {
      const server = servers[(turn + round) % servers.length];
      if (server !== undefined) await measure(client, server);
    }
  }
  console.log(`round ${round + 1} of ${rounds} done`);
}

const ratios: Record<string, number> = {};
for (const { name, unit } of chosen) {
  const [nbdkit = 0, ...others] = servers.map((server) => median(valuesOf(name, server)));
  const [qemu = 0, larder = 0] = others;
  ratios[name] = ratioOf(name);
  const figures = { nbdkit, qemu, larder };
  console.log(name.padEnd(14), unit, figures, `larder ÷ nbdkit, median of rounds: ${ratios[name]}`);
}
console.log(`the load client was busy ${rounded(100 * load.busyMax, 0)} % of the time at most`);
const facts = { bench: "nbd", rounds, cores: availableParallelism(), deviceBytes };
console.log(JSON.stringify({ ...facts, ratios }));

async function measure(client: Client, server: Candidate): Promise<void> {
  valuesOf(client.name, server).push(await client.perSecond(server));
}

function valuesOf(client: string, server: Candidate): number[] {
  const key = `${client} ${server.name}`;
  const known = values.get(key) ?? [];
  values.set(key, known);
  return known;
}

/** Larder to nbdkit within each round; the median of those. */
function ratioOf(client: string): number {
  const [nbdkit, , larder] = servers.map((server) => valuesOf(client, server));
  return rounded(median((larder ?? []).map((value, round) => value / (nbdkit?.[round] ?? Number.NaN))), 3);
}

/** Each block begins with its own offset, so that a client sees whose data it gets. */
async function writeMarkedFile(at: string, bytes: number): Promise<void> {
  await using handle = await open(at, "w");
  const piece = Buffer.alloc(2 ** 20, 0xa5);
  for (let offset = 0; offset < bytes; offset += piece.length) {
    for (let block = 0; block < piece.length; block += 4096) piece.writeDoubleLE(offset + block, block);
    await handle.write(piece, 0, piece.length, offset);
  }
}
