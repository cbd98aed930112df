import swagger from "@fastify/swagger";
import { type FastifyInstance, fastify, type FastifyServerFactory } from "fastify";
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { type ArrivalLimits, awaitBody } from "./arrival.ts";
import { requireApiKey } from "./api-key.ts";
import { crossOriginHeaders, preflightHeaders } from "./cross-origin.ts";
import { errorHandler } from "./error-answers.ts";
import { listRoutes } from "./list-routes.ts";
import { networkRoutes } from "./network-routes.ts";
import { notYetRoutes } from "./not-yet-routes.ts";
import { operatorRoutes } from "./operator-routes.ts";
import type { Admin, Inspect, KeyChecker, SandboxLogs, SnapshotService, TemplateService } from "./ports.ts";
import { pauseRoutes } from "./pause-routes.ts";
import { publicRoutes, type PublicRoutesOptions } from "./public-routes.ts";
import { sandboxRoutes, type SandboxRoutesOptions } from "./sandbox-routes.ts";
import { snapshotRoutes } from "./snapshot-routes.ts";
import { tagRoutes } from "./tag-routes.ts";
import { teamRoutes } from "./team-routes.ts";
import { logRoutes } from "./log-routes.ts";
import { metricsRoutes } from "./metrics-routes.ts";
import { templateChangeRoutes } from "./template-change-routes.ts";
import { templateRoutes } from "./template-routes.ts";

export interface ApplicationOptions extends SandboxRoutesOptions, Omit<PublicRoutesOptions, "requireKey"> {
  readonly templates: TemplateService;
  readonly snapshots: SnapshotService;
  readonly keys: KeyChecker;
  readonly inspect: Inspect;
  readonly admin: Admin;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly logs: SandboxLogs;
  readonly arrival: ArrivalLimits;
}

/** The largest body that the API reads; files go to the agent and do not pass here. */
const bodyBytesMax = 1024 * 1024;

/** The routes of the API, on a server that `serverFactory` makes. */
export async function application(
  options: ApplicationOptions,
  serverFactory: FastifyServerFactory,
): Promise<FastifyInstance> {
  const onError = errorHandler(options.logger);
  const app = fastify({
    serverFactory,
    bodyLimit: bodyBytesMax,
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: onError,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(onError);
  app.setNotFoundHandler((request, reply) => {
    const preflight = preflightHeaders(request.method, request.headers);
    if (preflight !== undefined) return reply.code(204).headers(preflight).send();
    const message = `${request.method} ${request.url.split("?", 1)[0]} is not known`;
    return reply.code(404).send({ code: 404, message });
  });
  app.addHook("preParsing", awaitBody(options.clock, options.arrival.bodyMsMax));
  acceptEmptyBodies(app);
  measureRequests(app, options.meter);
  const info = { title: "Larder", version: options.version };
  await app.register(swagger, { openapi: { openapi: "3.1.0", info }, transform: jsonSchemaTransform });

  const requireKey = requireApiKey(options.keys);
  await app.register(publicRoutes, { ...options, requireKey });
  await app.register(async (keyed) => {
    keyed.addHook("onRequest", async (request, reply) => {
      if (request.headers.origin !== undefined) void reply.headers(crossOriginHeaders);
    });
    keyed.addHook("onRequest", requireKey);
    await keyed.register(sandboxRoutes, options);
    await keyed.register(pauseRoutes, options);
    await keyed.register(snapshotRoutes, options);
    await keyed.register(listRoutes, options);
    await keyed.register(metricsRoutes, options);
    await keyed.register(logRoutes, options);
    await keyed.register(networkRoutes, options);
    await keyed.register(templateRoutes, options);
    await keyed.register(templateChangeRoutes, options);
    await keyed.register(tagRoutes, options);
    await keyed.register(teamRoutes);
    await keyed.register(operatorRoutes, options);
    notYetRoutes(keyed);
  });
  await app.ready();
  return app;
}

/** A body may be absent, empty or `{}`: all three say nothing. */
function acceptEmptyBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body.length === 0) done(null, {});
    else void parse(request, String(body), done);
  });
  app.addHook("preValidation", async (request) => {
    request.body ??= {};
  });
}

function measureRequests(app: FastifyInstance, meter: Meter): void {
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "unknown";
    const labels = { method: request.method, route, status: String(reply.statusCode) };
    meter.count("larder_api_requests_total", labels);
    meter.observe("larder_api_request_seconds", reply.elapsedTime / 1000, { route });
  });
}
