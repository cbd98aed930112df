import { z } from "zod";
import { type Arguments, printJson, printLine, type Terminal } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { megabytes } from "./megabytes.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage-error.ts";

const collection = z.looseObject({
  dryRun: z.boolean(),
  builds: z.array(z.object({ build: z.string(), bytes: z.number(), because: z.string() })),
  blobs: z.array(z.object({ digest: z.string(), bytes: z.number() })),
  evicted: z.array(z.object({ build: z.string(), bytes: z.number() })),
  freedBytes: z.object({ bucket: z.number(), shelf: z.number() }),
  keptBuilds: z.number(),
  nodes: z.array(z.object({ node: z.string(), writtenAt: z.number(), builds: z.number() })),
});

/** Has the daemon remove what nothing leads to, and says what that was. */
export async function collectGarbage({ values }: Arguments, terminal: Terminal): Promise<number> {
  const body = {
    dryRun: values["dry-run"] === true,
    lostNodes: values["lost-node"] ?? [],
    ...graceOf(values["older-than"]),
  };
  const api = await connectToApi(terminal.env);
  const call = { method: "POST", path: "/larder/templates/gc", body } as const;
  const answer = await api.json(collection, call, terminal.signal);
  if (values["json"] === true) printJson(terminal, answer);
  else print(answer, terminal);
  return 0;
}

function graceOf(hours: Arguments["values"][string]): { readonly graceMs?: number } {
  if (hours === undefined) return {};
  const count = Number(hours);
  if (!(count >= 1 && count <= 24 * 366))
    throw new UsageError(`--older-than takes hours, 1 or more, not '${String(hours)}'`);
  return { graceMs: Math.round(count * 60 * 60_000) };
}

function print(answer: z.output<typeof collection>, terminal: Terminal): void {
  const { builds, blobs, evicted, freedBytes, keptBuilds, nodes, dryRun } = answer;
  const rows = [
    ...builds.map(({ build, bytes, because }) => ["build", build, megabytes(bytes), because]),
    ...blobs.map(({ digest, bytes }) => ["blob", digest, megabytes(bytes), "unreferenced"]),
    ...evicted.map(({ build, bytes }) => ["shelf", build, megabytes(bytes), "unreferenced"]),
  ];
  if (rows.length > 0) terminal.stdout.write(table(["WHAT", "ID", "SIZE", "BECAUSE"], rows));
  const { bucket, shelf } = freedBytes;
  const verb = dryRun ? "would be" : "were";
  printLine(terminal, `${megabytes(bucket)} in the bucket and ${megabytes(shelf)} here ${verb} freed.`);
  const heeded = nodes.length === 0 ? "" : ` The needs of ${nodes.length} other node(s) were heeded.`;
  printLine(terminal, `${keptBuilds} builds stay.${heeded}`);
}
