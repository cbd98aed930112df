import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { errorBody } from "./error-answers.ts";
import type { SandboxLogs } from "./ports.ts";
import { idOf } from "./sandbox-routes.ts";

const logsMax = 1000;

const levels = ["debug", "info", "warn", "error"] as const;
const entry = z.object({
  timestamp: z.iso.datetime(),
  level: z.enum(levels),
  message: z.string(),
  fields: z.record(z.string(), z.string()),
});
const line = z.object({ timestamp: z.iso.datetime(), line: z.string() });

const byId = z.object({ id: z.string() });
const unix = z.coerce.number().int().min(0);
const limit = z.coerce.number().int().min(0).max(logsMax).default(logsMax);

/** What is known of the life of a sandbox, in the words of both generations of clients. Times are in milliseconds. */
export const logRoutes: FastifyPluginCallbackZod<{ logs: SandboxLogs }> = (app, { logs }, done) => {
  const tags = ["sandboxes"];

  const first = z.strictObject({ start: unix.optional(), limit });
  const lines = {
    tags,
    params: byId,
    response: { 200: z.object({ logs: z.array(line), logEntries: z.array(entry) }), default: errorBody },
  };
  app.get("/sandboxes/:id/logs", { schema: { ...lines, querystring: first } }, async (request, reply) => {
    const { start = 0 } = request.query;
    const all = (await logs.of(idOf(request.params.id))).filter(({ atMs }) => atMs >= start);
    const chosen = all.slice(0, request.query.limit).map(toEntry);
    return reply.send({ logs: chosen.map(toLine), logEntries: chosen });
  });

  const second = z.strictObject({
    cursor: unix.optional(),
    direction: z.enum(["forward", "backward"]).default("forward"),
    level: z.enum(levels).default("debug"),
    search: z.string().optional(),
    limit,
  });
  const entries = {
    tags,
    params: byId,
    response: { 200: z.object({ logs: z.array(entry) }), default: errorBody },
  };
  app.get(
    "/v2/sandboxes/:id/logs",
    { schema: { ...entries, querystring: second } },
    async (request, reply) => {
      const { cursor, direction, level, search = "", limit } = request.query;
      const all = (await logs.of(idOf(request.params.id)))
        .filter(
          (each) => levels.indexOf(each.level) >= levels.indexOf(level) && each.message.includes(search),
        )
        .filter(
          ({ atMs }) => cursor === undefined || (direction === "forward" ? atMs >= cursor : atMs <= cursor),
        );
      if (direction === "backward") all.reverse();
      return reply.send({ logs: all.slice(0, limit).map(toEntry) });
    },
  );
  done();
};

function toEntry({ atMs, level, message, fields }: Awaited<ReturnType<SandboxLogs["of"]>>[number]) {
  return { timestamp: new Date(atMs).toISOString(), level, message, fields: { ...fields } };
}

/** The older form: JSON in a line, which the command line takes apart again. */
function toLine({ timestamp, level, message, fields }: z.output<typeof entry>) {
  return {
    timestamp,
    line: JSON.stringify({ ...fields, level, message, logger: fields["logger"] ?? "larder" }),
  };
}
