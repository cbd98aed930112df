import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { errorBody } from "./error-answers.ts";
import { notYet } from "./fields.ts";
import { egressFields } from "./network-fields.ts";
import { idOf, type SandboxRoutesOptions } from "./sandbox-routes.ts";

const byId = z.object({ id: z.string() });

/** The rules for a sandbox's own traffic, all at once: none is what there are, and what may be asked for. */
export const networkRoutes: FastifyPluginCallbackZod<SandboxRoutesOptions> = (app, { sandboxes }, done) => {
  const changing = "changing the internet access of a sandbox is";
  const body = z.strictObject({ ...egressFields, allow_internet_access: notYet(changing) });
  const schema = { tags: ["sandboxes"], params: byId, body, response: { 204: z.void(), default: errorBody } };
  app.put("/sandboxes/:id/network", { schema }, async (request, reply) => {
    const { allowInternet } = await sandboxes.get(idOf(request.params.id));
    // No rules would open it.
    if (!allowInternet) throw new Failure("invalid", `${changing} not supported yet`);
    return reply.code(204).send();
  });
  done();
};
