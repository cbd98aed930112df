import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { authorityOf } from "./client-exchange.ts";
import { hostName, isLoopback } from "./host-name.ts";
import type { Exposition } from "./ports.ts";
import type { onRequestAsyncHookHandler } from "fastify";

export interface PublicRoutesOptions {
  readonly version: string;
  readonly exposition: Exposition;
  /** Where the daemon listens. */
  readonly boundHost: string;
  readonly requireKey: onRequestAsyncHookHandler;
}

/** What may be read without a key. */
export const publicRoutes: FastifyPluginCallbackZod<PublicRoutesOptions> = (app, options, done) => {
  const { version, exposition, boundHost, requireKey } = options;
  const hidden = { schema: { hide: true } };

  app.get("/healthz", hidden, async () => ({ status: "ok", version }));
  app.get("/openapi.json", hidden, async () => app.swagger());

  app.get("/", hidden, async (request, reply) => {
    const facts = { name: "larder", version, health: "/healthz", api: "/openapi.json", metrics: "/metrics" };
    if (!(request.headers.accept ?? "").includes("text/html")) return facts;
    return reply.type("text/html; charset=utf-8").send(page(version));
  });

  // Only whoever is on this machine and asks this machine may look without a key; a proxy in front is neither.
  const onRequest: onRequestAsyncHookHandler = async function (request, reply) {
    const local = isLoopback(boundHost) && isLoopback(hostName(authorityOf(request.raw)) ?? "");
    if (!local) await requireKey.call(this, request, reply);
  };
  app.get("/metrics", { ...hidden, onRequest }, async (_request, reply) =>
    reply.type(exposition.contentType).send(await exposition.text()),
  );
  done();
};

function page(version: string): string {
  return `<!doctype html>
<meta charset="utf-8">
<title>Larder</title>
<h1>Larder ${version}</h1>
<p>This is the API of a sandbox orchestrator. Programs speak to it with the <code>e2b</code> package;
<code>larder env</code> prints what to set.</p>
<p><a href="/healthz">health</a> · <a href="/openapi.json">API description</a> · <a href="/metrics">metrics</a></p>
`;
}
