import type { FastifyReply } from "fastify";
import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import type { Logger } from "../base/logger.ts";
import { clientSignal } from "./client-signal.ts";
import { sandboxIdOf } from "./destination.ts";
import { errorBody } from "./error-answers.ts";
import { noFields } from "./fields.ts";
import { lifecycleOf } from "./lifecycle.ts";
import { deniesInternet, ingressOf } from "./network-fields.ts";
import type { SandboxService } from "./ports.ts";
import type { CreateRequest } from "../sandbox/create-request.ts";
import { noSuchSandbox } from "../sandbox/no-such-sandbox.ts";
import type { Connected } from "../sandbox/outcomes.ts";
import type { SandboxView } from "../sandbox/sandbox-view.ts";
import { connectBody, type CreateBody, createBody, refreshBody, timeoutBody } from "./sandbox-bodies.ts";
import { sandboxDetail, startedSandbox, toDetail, toStarted } from "./sandbox-views.ts";

export interface SandboxRoutesOptions {
  readonly sandboxes: SandboxService;
  /** Told to clients as the suffix of host names; may have a port. */
  readonly domain: string | undefined;
  /** How long one create or connect may take. */
  readonly startMsMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const byId = z.object({ id: z.string() });
const nothing = z.void();

/** The life of one sandbox, as both generations of clients ask for it. */
export const sandboxRoutes: FastifyPluginCallbackZod<SandboxRoutesOptions> = (app, options, done) => {
  const { sandboxes, domain } = options;
  for (const prefix of ["", "/v2"]) {
    // The oldest clients know of no token, and the older ones ask for it in words.
    const secured = prefix === "/v2";
    const created = { tags: ["sandboxes"], response: { 201: startedSandbox, default: errorBody } };
    app.post(`${prefix}/sandboxes`, { schema: { ...created, body: createBody } }, async (request, reply) => {
      const { secure = secured || request.body.network?.allowPublicTraffic === false } = request.body;
      const view = await create({ ...request.body, secure }, reply, options);
      return reply.code(201).send(toStarted(view, domain));
    });

    const connected = {
      tags: ["sandboxes"],
      params: byId,
      response: { 200: startedSandbox, 201: startedSandbox, default: errorBody },
    };
    const connecting = { schema: { ...connected, body: connectBody } };
    app.post(`${prefix}/sandboxes/:id/connect`, connecting, async (request, reply) => {
      const { view, resumed } = await connect(request.params.id, request.body, reply, options);
      return reply.code(resumed ? 201 : 200).send(toStarted(view, domain));
    });
  }

  const described = {
    params: byId,
    tags: ["sandboxes"],
    response: { 200: sandboxDetail, default: errorBody },
  };
  app.get("/sandboxes/:id", { schema: described }, async (request, reply) =>
    reply.send(toDetail(await sandboxes.get(idOf(request.params.id)), domain)),
  );

  const ended = { params: byId, tags: ["sandboxes"], response: { 204: nothing, default: errorBody } };
  app.delete("/sandboxes/:id", { schema: { ...ended, body: noFields } }, async (request, reply) => {
    await end(sandboxes, idOf(request.params.id));
    return reply.code(204).send();
  });

  app.post("/sandboxes/:id/timeout", { schema: { ...ended, body: timeoutBody } }, async (request, reply) => {
    const { timeout } = request.body;
    const id = idOf(request.params.id);
    await (timeout === 0 ? end(sandboxes, id) : sandboxes.setTimeout(id, timeout * 1000));
    return reply.code(204).send();
  });

  app.post(
    "/sandboxes/:id/refreshes",
    { schema: { ...ended, body: refreshBody } },
    async (request, reply) => {
      await connect(request.params.id, { timeout: request.body.duration }, reply, options);
      return reply.code(204).send();
    },
  );
  done();
};

async function create(
  body: CreateBody & { secure: boolean },
  reply: FastifyReply,
  options: SandboxRoutesOptions,
): Promise<SandboxView> {
  const { clock, startMsMax, sandboxes, logger } = options;
  const request: CreateRequest = {
    template: body.templateID,
    timeoutMs: body.timeout * 1000,
    metadata: body.metadata ?? {},
    envs: body.envVars ?? {},
    secure: body.secure,
    allowInternet: (body.allow_internet_access ?? true) && !deniesInternet(body.network ?? {}),
    lifecycle: lifecycleOf(body),
    ingress: ingressOf(body.network ?? {}),
  };
  const client = clientSignal(reply.raw);
  using limit = deadline(clock, startMsMax, "starting the sandbox", client);
  const view = await sandboxes.create(request, limit.signal);
  // Nobody knows of a sandbox whose client leaves before it has the answer.
  const forget = () => {
    sandboxes.kill(view.id).catch((error: unknown) => {
      logger.warn({ sandbox: view.id, error }, "a sandbox that nobody knows of could not be ended");
    });
  };
  if (client.aborted) forget();
  else client.addEventListener("abort", forget, { once: true });
  return view;
}

/** Wakes a sandbox if it sleeps, and extends its life. */
export async function connect(
  sentId: string,
  { timeout, memory }: { readonly timeout: number; readonly memory?: boolean | null | undefined },
  reply: FastifyReply,
  { clock, startMsMax, sandboxes }: SandboxRoutesOptions,
): Promise<Connected> {
  using limit = deadline(clock, startMsMax, "connecting to the sandbox", clientSignal(reply.raw));
  const wish = { timeoutMs: timeout * 1000, reboot: memory === false };
  return await sandboxes.connect(idOf(sentId), wish, limit.signal);
}

async function end(sandboxes: SandboxService, id: string): Promise<void> {
  if (!(await sandboxes.kill(id))) throw noSuchSandbox(id);
}

/** The id in what a client sends. */
export function idOf(sent: string): string {
  const id = sandboxIdOf(sent);
  if (id === undefined) throw noSuchSandbox(sent);
  return id;
}
