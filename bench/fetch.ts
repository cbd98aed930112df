// What it costs to fetch 4 MiB of a pack from an object store: our client against AWS's SDK, from the same server on
// this machine, in one run, in turn; each client and the server in a process of its own. Both hand out the body in
// pieces as they come. What is counted is the processor time of the client's process, the kernel's part included.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism, loadavg } from "node:os";
import path from "node:path";
import { atOnce, type Cost, packBytes, requestBytes, requestsEach } from "./fetch-client.ts";
import { median, rounded } from "./medians.ts";

const rounds = Number(process.argv[2] ?? 15);
const names = ["ours", "sdk"] as const;
type Name = (typeof names)[number];

const start = (file: string, ...args: string[]) => fork(path.join(import.meta.dirname, file), args);
const ask = async (child: ChildProcess): Promise<unknown> => {
  const answer = once(child, "message");
  child.send("go");
  return (await answer)[0] as unknown;
};

const server = start("fetch-server.ts", String(packBytes));
const url = String(await ask(server));
const clients: Record<Name, ChildProcess> = {
  ours: start("fetch-client.ts", "ours", url),
  sdk: start("fetch-client.ts", "sdk", url),
};
const costs: Record<Name, Cost[]> = { ours: [], sdk: [] };
for (const name of names) for (let i = 0; i < 3; i++) await ask(clients[name]); // until they are compiled
for (let round = 0; round < rounds; round++) {
  for (const name of names) costs[name].push((await ask(clients[name])) as Cost);
  const shown = names.map((name) => {
    const { cpuMs, megabytesPerSecond } = costs[name].at(-1) as Cost;
    return `${name} ${rounded(cpuMs, 2)} ms, ${Math.round(megabytesPerSecond)} MB/s`;
  });
  console.log(`round ${round + 1}: ${shown.join("; ")}`);
}
for (const child of [server, ...Object.values(clients)]) child.kill();

const middle = (name: Name, of: keyof Cost) => median(costs[name].map((cost) => cost[of]));
const each = (name: Name) => ({
  cpuMs: rounded(middle(name, "cpuMs"), 2),
  userMs: rounded(middle(name, "userMs"), 2),
  megabytesPerSecond: Math.round(middle(name, "megabytesPerSecond")),
});
const ratios = costs.ours.map(({ cpuMs }, i) => (costs.sdk[i]?.cpuMs ?? Number.NaN) / cpuMs);
const method = { rounds, requestsEach, atOnce, requestBytes, cores: availableParallelism() };
// Who shares the processors with others pays more for each byte that is copied.
const load = rounded(loadavg()[0] ?? Number.NaN);
const cpuRatio = rounded(median(ratios), 2);
console.log(
  JSON.stringify({ bench: "fetch", ...method, load, ours: each("ours"), sdk: each("sdk"), cpuRatio }),
);
