import { z } from "zod";
import type { ApiClient } from "./api-client.ts";
import { type Command, jsonOption, printJson } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { listSandboxes } from "./ls.ts";
import { table } from "./table.ts";

const metric = z.looseObject({
  cpuCount: z.number(),
  cpuUsedPct: z.number(),
  memUsed: z.number(),
  memTotal: z.number(),
  diskUsed: z.number(),
  diskTotal: z.number(),
});
type Metric = z.output<typeof metric>;
const answer = z.object({ sandboxes: z.record(z.string(), metric) });

/** How many the API tells of at once. */
const atOnceMax = 100;

export const metrics: Command = {
  usage: "larder metrics [ID...] [--json]",
  help: "Prints how much of their processors, memory and disk sandboxes use; of all that run when none is named.",
  options: jsonOption,
  words: { least: 0, most: Number.POSITIVE_INFINITY },
  run: async ({ values, positionals }, terminal) => {
    const { signal } = terminal;
    const api = await connectToApi(terminal.env);
    const asked = positionals.length > 0 ? positionals : await running(api, signal);
    const known: Record<string, Metric> = {};
    for (let from = 0; from < asked.length; from += atOnceMax) {
      const ids = asked
        .slice(from, from + atOnceMax)
        .map(encodeURIComponent)
        .join(",");
      const call = { method: "GET", path: `/sandboxes/metrics?sandbox_ids=${ids}` } as const;
      Object.assign(known, (await api.json(answer, call, signal)).sandboxes);
    }
    if (values["json"] === true) printJson(terminal, known);
    else
      terminal.stdout.write(table(["ID", "CPUS", "CPU", "MEMORY", "DISK"], Object.entries(known).map(row)));
    const missing = positionals.filter((id) => known[id] === undefined);
    if (missing.length === 0) return 0;
    terminal.stderr.write(
      `larder metrics: nothing is known of ${missing.join(", ")}: only of sandboxes that run\n`,
    );
    return 1;
  },
};

async function running(api: ApiClient, signal: AbortSignal): Promise<string[]> {
  const all = await listSandboxes(api, signal);
  return all.filter(({ state }) => state === "running").map(({ sandboxID }) => sandboxID);
}

function row([id, { cpuCount, cpuUsedPct, memUsed, memTotal, diskUsed, diskTotal }]: [
  string,
  Metric,
]): string[] {
  return [
    id,
    String(cpuCount),
    `${cpuUsedPct.toFixed(1)} %`,
    share(memUsed, memTotal),
    share(diskUsed, diskTotal),
  ];
}

function share(used: number, total: number): string {
  return `${megabytes(used)} of ${megabytes(total)} MB`;
}

function megabytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}
