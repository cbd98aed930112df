import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { errorBody } from "./error-answers.ts";
import type { TemplateService } from "./ports.ts";

const tagsMax = 100;
const tag = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, "is no tag");
const tags = z.array(tag).min(1).max(tagsMax);
const name = z.string().min(1).max(256);
/** A template, or what a tag of it leads to. */
const target = name.regex(/^[^:]+(?::[^:]+)?$/, "is no NAME or NAME:TAG");

const byId = z.object({ id: z.string() });
const nothing = z.void();

/** The builds of templates are given names. */
export const tagRoutes: FastifyPluginCallbackZod<{ templates: TemplateService }> = (app, options, done) => {
  const { templates } = options;
  const common = { tags: ["templates"] };
  const gone = { ...common, response: { 204: nothing, default: errorBody } };
  const views = z.array(z.object({ tag: z.string(), buildID: z.string(), createdAt: z.iso.datetime() }));
  const listed = { ...common, params: byId, response: { 200: views, default: errorBody } };
  app.get("/templates/:id/tags", { schema: listed }, async (request, reply) => {
    const all = await templates.tags(request.params.id);
    return reply.send(
      all.map(({ tag, buildId, createdAt }) => ({
        tag,
        buildID: buildId,
        createdAt: new Date(createdAt).toISOString(),
      })),
    );
  });

  const assigned = z.object({ buildID: z.string(), tags: z.array(z.string()) });
  const assigning = {
    ...common,
    body: z.strictObject({ target, tags }),
    response: { 201: assigned, default: errorBody },
  };
  app.post("/templates/tags", { schema: assigning }, async (request, reply) => {
    const { target, tags } = request.body;
    return reply.code(201).send({ buildID: await templates.tag(target, tags), tags });
  });

  app.delete(
    "/templates/tags",
    { schema: { ...gone, body: z.strictObject({ name, tags }) } },
    async (request, reply) => {
      await templates.untag(request.body.name, request.body.tags);
      return reply.code(204).send();
    },
  );
  done();
};
