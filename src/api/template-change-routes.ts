import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { errorBody } from "./error-answers.ts";
import { only } from "./fields.ts";
import type { TemplateService } from "./ports.ts";

const byId = z.object({ id: z.string() });

/** What may be changed about a template: of that, nothing means anything here. */
export const templateChangeRoutes: FastifyPluginCallbackZod<{ templates: TemplateService }> = (
  app,
  { templates },
  done,
) => {
  const common = { tags: ["templates"] };
  // There is one owner here: a template is never public, and nobody is left to publish it to.
  const update = z.strictObject({
    public: only(z.boolean(), (value) => !value, "public templates are not supported yet"),
  });
  const updated = {
    ...common,
    params: byId,
    body: update,
    response: { 200: z.object({ names: z.array(z.string()) }), default: errorBody },
  };
  for (const url of ["/templates/:id", "/v2/templates/:id"]) {
    app.patch(url, { schema: updated }, async (request, reply) => {
      const { names } = await templates.get(request.params.id);
      return reply.send({ names: [...names] });
    });
  }
  done();
};
