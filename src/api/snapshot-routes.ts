import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { clientSignal } from "./client-signal.ts";
import { errorBody } from "./error-answers.ts";
import { failureStatus } from "./failure-status.ts";
import { noFields, seconds } from "./fields.ts";
import { pageSandboxesMax } from "./list-query.ts";
import type { SnapshotService, TemplateService } from "./ports.ts";
import { defaultTimeoutSeconds } from "./sandbox-bodies.ts";
import { idOf, type SandboxRoutesOptions } from "./sandbox-routes.ts";
import { startedSandbox, toStarted } from "./sandbox-views.ts";

export interface SnapshotRoutesOptions extends SandboxRoutesOptions {
  readonly snapshots: SnapshotService;
  readonly templates: TemplateService;
}

const byId = z.object({ id: z.string() });
const snapshot = z.object({ snapshotID: z.string(), names: z.array(z.string()) });
const forked = z.union([
  z.object({ sandbox: startedSandbox }),
  z.object({ error: z.object({ code: z.int(), message: z.string() }) }),
]);

const snapshotBody = z.strictObject({ name: z.string().min(1).max(256).nullish() });
const forkBody = z.strictObject({
  /** Checked further inside: what is out of bounds is the request's own fault. */
  count: z.int().default(1),
  timeout: seconds.default(defaultTimeoutSeconds),
});
const snapshotQuery = z.strictObject({
  sandboxID: z.string().optional(),
  name: z.string().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(pageSandboxesMax).default(pageSandboxesMax),
  nextToken: z.string().min(1).optional(),
});

/** Snapshots with a name, and sandboxes made of other sandboxes. */
export const snapshotRoutes: FastifyPluginCallbackZod<SnapshotRoutesOptions> = (app, options, done) => {
  const { snapshots, templates, domain, clock, startMsMax } = options;

  const made = { params: byId, tags: ["snapshots"], response: { 201: snapshot, default: errorBody } };
  app.post(
    "/sandboxes/:id/snapshots",
    { schema: { ...made, body: snapshotBody } },
    async (request, reply) => {
      using limit = deadline(clock, startMsMax, "making the snapshot", clientSignal(reply.raw));
      const { name } = request.body;
      const { id, names } = await snapshots.create(idOf(request.params.id), name ?? undefined, limit.signal);
      return reply.code(201).send({ snapshotID: id, names: [...names] });
    },
  );

  const forks = { params: byId, tags: ["sandboxes"], response: { 201: z.array(forked), default: errorBody } };
  app.post("/sandboxes/:id/fork", { schema: { ...forks, body: forkBody } }, async (request, reply) => {
    using limit = deadline(clock, startMsMax, "forking the sandbox", clientSignal(reply.raw));
    const { count, timeout } = request.body;
    const wish = { count, timeoutMs: timeout * 1000 };
    const outcomes = await snapshots.fork(idOf(request.params.id), wish, limit.signal);
    const answer = outcomes.map((each) =>
      "sandbox" in each
        ? { sandbox: toStarted(each.sandbox, domain) }
        : { error: { code: failureStatus[each.failure.code], message: each.failure.message } },
    );
    return reply.code(201).send(answer);
  });

  const listed = { tags: ["snapshots"], response: { 200: z.array(snapshot), default: errorBody } };
  app.get("/snapshots", { schema: { ...listed, querystring: snapshotQuery } }, async (request, reply) => {
    const { sandboxID, name, limit, nextToken } = request.query;
    const page = await snapshots.list({
      limit,
      ...(sandboxID === undefined ? {} : { sandboxId: sandboxID }),
      ...(name === undefined ? {} : { name }),
      ...(nextToken === undefined ? {} : { after: nextToken }),
    });
    if (page.next !== undefined) void reply.header("x-next-token", page.next);
    return reply.send(page.snapshots.map(({ id, names }) => ({ snapshotID: id, names: [...names] })));
  });

  const deleted = { params: byId, tags: ["snapshots"], response: { 204: z.void(), default: errorBody } };
  app.delete("/templates/:id", { schema: { ...deleted, body: noFields } }, async (request, reply) => {
    const { id } = request.params;
    if (!(await snapshots.remove(id)) && !(await templates.remove(id)))
      throw new Failure("not_found", `there is no template or snapshot '${id}'`);
    return reply.code(204).send();
  });
  done();
};
