import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { errorBody } from "./error-answers.ts";
import { Failure } from "../base/failure.ts";
import { pauseBody, resumeBody } from "./sandbox-bodies.ts";
import { connect, idOf, type SandboxRoutesOptions } from "./sandbox-routes.ts";
import { startedSandbox, toStarted } from "./sandbox-views.ts";

const byId = z.object({ id: z.string() });
const nothing = z.void();

/** Putting a sandbox to sleep, and waking it as older clients ask for it; newer ones connect. */
export const pauseRoutes: FastifyPluginCallbackZod<SandboxRoutesOptions> = (app, options, done) => {
  const { sandboxes, domain } = options;
  const ended = { params: byId, tags: ["sandboxes"], response: { 204: nothing, default: errorBody } };
  app.post("/sandboxes/:id/pause", { schema: { ...ended, body: pauseBody } }, async (request, reply) => {
    await sandboxes.pause(idOf(request.params.id), request.body.memory !== false);
    return reply.code(204).send();
  });

  const resumed = {
    params: byId,
    tags: ["sandboxes"],
    response: { 201: startedSandbox, default: errorBody },
  };
  app.post("/sandboxes/:id/resume", { schema: { ...resumed, body: resumeBody } }, async (request, reply) => {
    const id = idOf(request.params.id);
    if ((await sandboxes.get(id)).state === "running")
      throw new Failure("conflict", `sandbox '${id}' is running already`);
    const { view } = await connect(id, { timeout: request.body.timeout }, reply, options);
    return reply.code(201).send(toStarted(view, domain));
  });
  done();
};
