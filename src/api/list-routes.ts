import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { errorBody } from "./error-answers.ts";
import { listQuery, metadataOf, pageSandboxesMax, runningQuery, toFilter } from "./list-query.ts";
import type { SandboxService } from "./ports.ts";
import type { SandboxView } from "../sandbox/sandbox-view.ts";
import type { SandboxFilter } from "../sandbox/sandbox-filter.ts";
import { listedSandbox, toListed } from "./sandbox-views.ts";

/** Lists of sandboxes: pages for the clients of today, everything at once for the oldest ones. */
export const listRoutes: FastifyPluginCallbackZod<{ sandboxes: SandboxService }> = (
  app,
  { sandboxes },
  done,
) => {
  const schema = { tags: ["sandboxes"], response: { 200: z.array(listedSandbox), default: errorBody } };

  app.get("/v2/sandboxes", { schema: { ...schema, querystring: listQuery } }, async (request, reply) => {
    const page = await sandboxes.list(toFilter(request.query));
    if (page.next !== undefined) void reply.header("x-next-token", page.next);
    return reply.send(page.sandboxes.map(toListed));
  });

  app.get("/sandboxes", { schema: { ...schema, querystring: runningQuery } }, async (request, reply) => {
    const { metadata } = request.query;
    const filter: SandboxFilter = {
      states: ["running"],
      order: "desc",
      limit: pageSandboxesMax,
      ...(metadata === undefined ? {} : { metadata: metadataOf(metadata) }),
    };
    return reply.send((await allPages(sandboxes, filter)).map(toListed));
  });
  done();
};

async function allPages(sandboxes: SandboxService, filter: SandboxFilter): Promise<SandboxView[]> {
  const all: SandboxView[] = [];
  let page = await sandboxes.list(filter);
  all.push(...page.sandboxes);
  while (page.next !== undefined) {
    page = await sandboxes.list({ ...filter, after: page.next });
    all.push(...page.sandboxes);
  }
  return all;
}
