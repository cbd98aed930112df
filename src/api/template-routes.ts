import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { errorBody } from "./error-answers.ts";
import type { TemplateService, TemplateView } from "./ports.ts";

const build = z.object({
  buildID: z.string(),
  status: z.literal("ready"),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  cpuCount: z.number(),
  memoryMB: z.number(),
  diskSizeMB: z.number(),
  envdVersion: z.string(),
});

const named = z.object({
  templateID: z.string(),
  public: z.boolean(),
  names: z.array(z.string()),
  aliases: z.array(z.string()),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

const listedTemplate = named.extend({
  buildID: z.string(),
  buildStatus: z.literal("ready"),
  cpuCount: z.number(),
  memoryMB: z.number(),
  diskSizeMB: z.number(),
  envdVersion: z.string(),
});

const templateDetail = named.extend({ builds: z.array(build) });
const alias = z.object({ templateID: z.string(), public: z.boolean() });

/** The most that one page holds, and what it holds when nobody says. */
const pageTemplatesMax = 100;

/** What sandboxes can be started from. */
export const templateRoutes: FastifyPluginCallbackZod<{ templates: TemplateService }> = (
  app,
  { templates },
  done,
) => {
  const tags = ["templates"];
  // The command line of the protocol's makers names a team; there is one owner here, so every team sees the same.
  const querystring = z.strictObject({ teamID: z.string().optional() });
  const list = { tags, querystring, response: { 200: z.array(listedTemplate), default: errorBody } };
  app.get("/templates", { schema: list }, async (_request, reply) =>
    reply.send((await templates.list()).map(toListed)),
  );

  const paged = querystring.extend({
    limit: z.coerce.number().int().min(1).max(pageTemplatesMax).default(pageTemplatesMax),
    nextToken: z.string().min(1).optional(),
  });
  app.get("/v2/templates", { schema: { ...list, querystring: paged } }, async (request, reply) => {
    const { limit, nextToken = "" } = request.query;
    // By id, which no template changes: a token stays good whatever comes and goes.
    const all = [...(await templates.list())].sort((a, b) => (a.id < b.id ? -1 : 1));
    const rest = all.filter(({ id }) => id > nextToken);
    const page = rest.slice(0, limit);
    if (rest.length > limit) void reply.header("x-next-token", page.at(-1)?.id ?? "");
    return reply.send(page.map(toListed));
  });

  const pages = z.strictObject({ limit: z.string().optional(), nextToken: z.string().optional() });
  const detail = {
    tags,
    querystring: pages,
    params: z.object({ id: z.string() }),
    response: { 200: templateDetail, default: errorBody },
  };
  app.get("/templates/:id", { schema: detail }, async (request, reply) =>
    reply.send(toDetail(await templates.get(request.params.id))),
  );

  const params = z.object({ alias: z.string() });
  const byAlias = { tags, params, response: { 200: alias, default: errorBody } };
  app.get("/templates/aliases/:alias", { schema: byAlias }, async (request, reply) => {
    const { id } = await templates.get(request.params.alias);
    return reply.send({ templateID: id, public: false });
  });
  done();
};

function toNamed(view: TemplateView): z.input<typeof named> {
  return {
    templateID: view.id,
    public: false,
    names: [...view.names],
    aliases: [...view.names],
    createdAt: new Date(view.createdAt).toISOString(),
    updatedAt: new Date(view.updatedAt).toISOString(),
  };
}

function toListed(view: TemplateView): z.input<typeof listedTemplate> {
  return {
    ...toNamed(view),
    buildID: view.buildId,
    buildStatus: "ready",
    cpuCount: view.cpuCount,
    memoryMB: view.memoryMb,
    diskSizeMB: view.diskMb,
    envdVersion: view.agentVersion,
  };
}

/** The build that sandboxes are started from now; older ones are not remembered. */
function toDetail(view: TemplateView): z.input<typeof templateDetail> {
  const { createdAt, updatedAt, ...template } = toNamed(view);
  const { buildID, cpuCount, memoryMB, diskSizeMB, envdVersion } = toListed(view);
  const times = { createdAt, updatedAt, finishedAt: updatedAt };
  const builds = [
    { buildID, status: "ready" as const, ...times, cpuCount, memoryMB, diskSizeMB, envdVersion },
  ];
  return { ...template, createdAt, updatedAt, builds };
}
