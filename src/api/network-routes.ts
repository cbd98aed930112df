import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { clientSignal } from "./client-signal.ts";
import { errorBody } from "./error-answers.ts";
import { deniesInternet, egressFields } from "./network-fields.ts";
import { idOf, type SandboxRoutesOptions } from "./sandbox-routes.ts";

const byId = z.object({ id: z.string() });
const body = z.strictObject({ ...egressFields, allow_internet_access: z.boolean().nullish() });

/** The rules for a sandbox's own traffic, all at once: what is not asked for is no longer in force. */
export const networkRoutes: FastifyPluginCallbackZod<SandboxRoutesOptions> = (app, { sandboxes }, done) => {
  const schema = { tags: ["sandboxes"], params: byId, body, response: { 204: z.void(), default: errorBody } };
  app.put("/sandboxes/:id/network", { schema }, async (request, reply) => {
    const { allow_internet_access: access, ...rules } = request.body;
    const allowed = (access ?? true) && !deniesInternet(rules);
    await sandboxes.setInternetAccess(idOf(request.params.id), allowed, clientSignal(reply.raw));
    return reply.code(204).send();
  });
  done();
};
