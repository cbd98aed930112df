import type { FastifyInstance, HTTPMethods } from "fastify";

/** What the protocol has and this server has not: each is refused by the name of its feature. */
const missing: readonly (readonly [
  feature: string,
  methods: readonly HTTPMethods[],
  paths: readonly string[],
])[] = [
  ["changing the metadata of a sandbox is", ["PUT", "PATCH"], ["/sandboxes/:id/metadata"]],
  ["making a template is", ["POST"], ["/templates", "/v2/templates", "/v3/templates", "/templates/:id"]],
  ["building a template is", ["POST"], ["/templates/:id/builds/:build", "/v2/templates/:id/builds/:build"]],
  [
    "building a template is",
    ["GET"],
    ["/templates/:id/builds/:build/status", "/templates/:id/builds/:build/logs"],
  ],
  ["uploading files for a template is", ["GET"], ["/templates/:id/files/:hash"]],
  ["volumes are", ["GET", "POST"], ["/volumes"]],
  ["volumes are", ["GET", "DELETE"], ["/volumes/:id"]],
  ["volumes are", ["GET", "POST", "PUT", "PATCH", "DELETE"], ["/volumecontent/:id/*"]],
  ["secrets are", ["GET", "POST"], ["/secrets"]],
  ["secrets are", ["GET", "POST", "DELETE"], ["/secrets/:id"]],
  ["metrics of teams are", ["GET"], ["/teams/:id/metrics", "/teams/:id/metrics/max"]],
  ["managing API keys is", ["GET", "POST"], ["/api-keys"]],
  ["managing API keys is", ["PATCH", "DELETE"], ["/api-keys/:id"]],
  ["managing access tokens is", ["POST"], ["/access-tokens"]],
  ["nodes are", ["GET"], ["/nodes", "/nodes/:id"]],
];

export function notYetRoutes(app: FastifyInstance): void {
  for (const [feature, methods, paths] of missing) {
    for (const url of paths) {
      app.route({
        method: [...methods],
        url,
        exposeHeadRoute: false,
        schema: { hide: true },
        handler: (_request, reply) =>
          reply.code(501).send({ code: 501, message: `${feature} not supported yet` }),
      });
    }
  }
}
