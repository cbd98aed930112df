import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { graceMsDefault, graceMsMin } from "../build/grace.ts";
import { clientSignal } from "./client-signal.ts";
import { errorBody } from "./error-answers.ts";
import { noFields } from "./fields.ts";
import type { Admin, Inspect } from "./ports.ts";

type App = Parameters<FastifyPluginCallbackZod>[0];

/** What the operator may see and do; the protocol knows nothing of it, so it has a path of its own. */
export const operatorRoutes: FastifyPluginCallbackZod<{ inspect: Inspect; admin: Admin }> = (
  app,
  options,
  done,
) => {
  const { inspect, admin } = options;
  const tags = ["operator"];
  const report = { tags, response: { 200: z.looseObject({}), default: errorBody } };
  app.get("/larder/report", { schema: report }, async (_request, reply) =>
    reply.send({ ...(await inspect.report()) }),
  );

  const cleared = {
    tags,
    body: noFields,
    response: { 200: z.object({ cleared: z.int() }), default: errorBody },
  };
  app.post("/larder/cache/clear-backoffs", { schema: cleared }, async (_request, reply) =>
    reply.send({ cleared: admin.clearBackoffs() }),
  );

  const params = z.object({ build: z.uuid() });
  const described = { tags, params, response: { 200: z.looseObject({}), default: errorBody } };
  app.get("/larder/cache/builds/:build", { schema: described }, async (request, reply) =>
    reply.send({ ...admin.describe(request.params.build) }),
  );

  const body = z.strictObject({ build: z.uuid() });
  const evicted = { tags, body, response: { 200: z.object({ evicted: z.boolean() }), default: errorBody } };
  app.post("/larder/cache/evict", { schema: evicted }, async (request, reply) =>
    reply.send({ evicted: await admin.evict(request.body.build) }),
  );

  const counts = z.object({ chunks: z.int(), damaged: z.int() });
  const verified = { tags, body, response: { 200: counts, default: errorBody } };
  app.post("/larder/cache/verify", { schema: verified }, async (request, reply) => {
    const { chunks, damaged } = await admin.verify(request.body.build, clientSignal(reply.raw));
    return reply.send({ chunks, damaged });
  });

  const pinned = { tags, body, response: { 200: z.object({ pinned: z.boolean() }), default: errorBody } };
  app.post("/larder/cache/pin", { schema: pinned }, async (request, reply) => {
    await admin.pin(request.body.build);
    return reply.send({ pinned: true });
  });
  app.post("/larder/cache/unpin", { schema: pinned }, async (request, reply) => {
    await admin.unpin(request.body.build);
    return reply.send({ pinned: false });
  });
  garbageRoute(app, admin);
  done();
};

const wish = z.strictObject({
  dryRun: z.boolean().default(false),
  graceMs: z.int().min(graceMsMin).default(graceMsDefault),
  lostNodes: z.array(z.uuid()).max(100).default([]),
});

function garbageRoute(app: App, admin: Pick<Admin, "collectGarbage">): void {
  const response = { 200: z.looseObject({}), default: errorBody };
  const collected = { tags: ["operator"], body: wish, response };
  app.post("/larder/templates/gc", { schema: collected }, async (request, reply) =>
    reply.send({ ...(await admin.collectGarbage(request.body, clientSignal(reply.raw))) }),
  );
}
