import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { clientSignal } from "./client-signal.ts";
import { errorBody } from "./error-answers.ts";
import { GuestMetrics, type Metric, metric } from "./guest-metrics.ts";
import { idOf, type SandboxRoutesOptions } from "./sandbox-routes.ts";

const sandboxesAtOnceMax = 100;
const byId = z.object({ id: z.string() });
const unix = z.coerce.number().int().min(0);

/** What sandboxes are used to, one by one or many at once. */
export const metricsRoutes: FastifyPluginCallbackZod<SandboxRoutesOptions> = (app, options, done) => {
  const { sandboxes } = options;
  const metrics = new GuestMetrics(options);
  const tags = ["sandboxes"];

  const span = z.strictObject({ start: unix.optional(), end: unix.optional() });
  const ofOne = { tags, params: byId, response: { 200: z.array(metric), default: errorBody } };
  app.get("/sandboxes/:id/metrics", { schema: { ...ofOne, querystring: span } }, async (request, reply) => {
    const { start = 0, end = Infinity } = request.query;
    const view = await sandboxes.get(idOf(request.params.id));
    const all = await metrics.of(view, clientSignal(reply.raw));
    return reply.send(all.filter(({ timestampUnix }) => timestampUnix >= start && timestampUnix <= end));
  });

  const many = z.strictObject({ sandbox_ids: z.union([z.string(), z.array(z.string())]) });
  const ofMany = {
    tags,
    response: { 200: z.object({ sandboxes: z.record(z.string(), metric) }), default: errorBody },
  };
  app.get("/sandboxes/metrics", { schema: { ...ofMany, querystring: many } }, async (request, reply) => {
    const ids = [request.query.sandbox_ids].flat().flatMap((text) => text.split(","));
    if (ids.length > sandboxesAtOnceMax)
      throw new Failure("invalid", `field 'sandbox_ids' may name ${sandboxesAtOnceMax} sandboxes`);
    const signal = clientSignal(reply.raw);
    const newest = async (id: string): Promise<[string, Metric | undefined]> => {
      const view = await sandboxes.get(id).catch(() => undefined);
      return [id, view === undefined ? undefined : (await metrics.of(view, signal)).at(-1)];
    };
    const found = (await Promise.all(ids.map(newest))).filter(
      (pair): pair is [string, Metric] => pair[1] !== undefined,
    );
    return reply.send({ sandboxes: Object.fromEntries(found) });
  });

  done();
};
