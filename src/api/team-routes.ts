import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { keyOf } from "./api-key.ts";
import { errorBody } from "./error-answers.ts";

const team = z.object({ teamID: z.string(), name: z.string(), apiKey: z.string(), isDefault: z.boolean() });

/** There is one owner, whose key the caller has shown already. */
export const teamRoutes: FastifyPluginCallbackZod = (app, _options, done) => {
  const schema = { tags: ["teams"], response: { 200: z.array(team), default: errorBody } };
  app.get("/teams", { schema }, async (request, reply) => {
    const apiKey = keyOf(request.headers) ?? "";
    return reply.send([{ teamID: "larder", name: "larder", apiKey, isDefault: true }]);
  });
  done();
};
