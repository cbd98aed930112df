import { z } from "zod";
import type { ApiClient } from "./api-client.ts";
import { type Arguments, type Command, jsonOption, printJson, printLine, type Terminal } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { megabytes } from "./megabytes.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage-error.ts";

const build = z.looseObject({
  build: z.string(),
  bytes: z.number(),
  leases: z.number(),
  usedAt: z.string(),
  pinned: z.boolean(),
  artifacts: z.record(z.string(), z.string()),
});

const report = z.looseObject({
  cache: z.looseObject({
    builds: z.array(build),
    bytes: z.object({ kept: z.number(), reserved: z.number(), budget: z.number() }),
    backoffs: z.array(z.object({ object: z.string(), kind: z.string(), msLeft: z.number() })),
  }),
});

const verified = z.object({ chunks: z.int(), damaged: z.int() });

const usage =
  "larder cache ls | inspect BUILD | verify BUILD | evict BUILD | pin BUILD | unpin BUILD | backoffs [--clear]";

export const cache: Command = {
  usage: `${usage} [--json]`,
  help: `ls lists the builds on this node's shelf; inspect says all that is known of one.
verify reads again what is kept of a build; what is damaged is fetched anew when it is needed, and the exit code is 1.
evict removes a build that no sandbox needs. pin keeps a build whatever room is needed, unpin no longer.
backoffs lists objects that are left alone for a while because fetching them failed; --clear asks again at once.`,
  options: { ...jsonOption, clear: { type: "boolean" } },
  words: { least: 1, most: 2 },
  run: async (args, terminal) => {
    const [what = "", name] = args.positionals;
    const action = Object.hasOwn(actions, what) ? actions[what] : undefined;
    const takesBuild = what !== "ls" && what !== "backoffs";
    if (action === undefined || takesBuild !== (name !== undefined)) throw new UsageError(`usage: ${usage}`);
    return await action(await connectToApi(terminal.env), args, terminal);
  },
};

type Action = (api: ApiClient, args: Arguments, terminal: Terminal) => Promise<number>;

const actions: Readonly<Record<string, Action>> = { ls, inspect, verify, evict, pin, unpin, backoffs };

async function ls(api: ApiClient, { values }: Arguments, terminal: Terminal): Promise<number> {
  const { builds, bytes } = await readReport(api, terminal);
  if (values["json"] === true) printJson(terminal, { builds, bytes });
  else {
    const rows = builds.map((each) => [
      each.build,
      megabytes(each.bytes),
      String(each.leases),
      each.pinned ? "pinned" : "",
      each.usedAt,
      Object.entries(each.artifacts)
        .filter(([, state]) => state !== "absent" && state !== "closed")
        .map(([artifact, state]) => `${artifact}:${state}`)
        .join(" "),
    ]);
    terminal.stdout.write(table(["BUILD", "SIZE", "LEASES", "PIN", "USED", "OPEN"], rows));
    printLine(terminal, `${megabytes(bytes.kept)} of ${megabytes(bytes.budget)} are used.`);
  }
  return 0;
}

async function inspect(api: ApiClient, args: Arguments, terminal: Terminal): Promise<number> {
  const path = `/larder/cache/builds/${encodeURIComponent(buildOf(args))}`;
  printJson(terminal, await api.json(z.looseObject({}), { method: "GET", path }, terminal.signal));
  return 0;
}

async function verify(api: ApiClient, args: Arguments, terminal: Terminal): Promise<number> {
  const { chunks, damaged } = await api.json(verified, post("verify", args), terminal.signal);
  if (args.values["json"] === true) printJson(terminal, { chunks, damaged });
  else printLine(terminal, `${chunks} chunks were read, ${damaged} of them were damaged.`);
  return damaged === 0 ? 0 : 1;
}

async function evict(api: ApiClient, args: Arguments, terminal: Terminal): Promise<number> {
  const answer = z.object({ evicted: z.boolean() });
  const { evicted } = await api.json(answer, post("evict", args), terminal.signal);
  const otherwise = "It was not evicted: it is leased or pinned, or not on the shelf.";
  if (args.values["json"] === true) printJson(terminal, { evicted });
  else printLine(terminal, evicted ? "It was evicted." : otherwise);
  return evicted ? 0 : 1;
}

async function pin(api: ApiClient, args: Arguments, terminal: Terminal): Promise<number> {
  return await setPin(api, "pin", args, terminal);
}

async function unpin(api: ApiClient, args: Arguments, terminal: Terminal): Promise<number> {
  return await setPin(api, "unpin", args, terminal);
}

async function setPin(api: ApiClient, action: string, args: Arguments, terminal: Terminal): Promise<number> {
  const answer = z.object({ pinned: z.boolean() });
  const { pinned } = await api.json(answer, post(action, args), terminal.signal);
  if (args.values["json"] === true) printJson(terminal, { pinned });
  else printLine(terminal, pinned ? "It is pinned." : "It is not pinned.");
  return 0;
}

async function backoffs(api: ApiClient, { values }: Arguments, terminal: Terminal): Promise<number> {
  if (values["clear"] === true) {
    const call = { method: "POST" as const, path: "/larder/cache/clear-backoffs" };
    const { cleared } = await api.json(z.object({ cleared: z.int() }), call, terminal.signal);
    if (values["json"] === true) printJson(terminal, { cleared });
    else printLine(terminal, `${cleared} objects may be asked for again.`);
    return 0;
  }
  const { backoffs: all } = await readReport(api, terminal);
  const rows = all.map(({ object, kind, msLeft }) => [object, kind, `${Math.ceil(msLeft)} ms`]);
  if (values["json"] === true) printJson(terminal, all);
  else terminal.stdout.write(table(["OBJECT", "FAILED", "LEFT ALONE FOR"], rows));
  return 0;
}

async function readReport(api: ApiClient, { signal }: Terminal) {
  return (await api.json(report, { method: "GET", path: "/larder/report" }, signal)).cache;
}

function post(action: string, args: Arguments) {
  return { method: "POST" as const, path: `/larder/cache/${action}`, body: { build: buildOf(args) } };
}

function buildOf({ positionals }: Arguments): string {
  return positionals[1] ?? "";
}
