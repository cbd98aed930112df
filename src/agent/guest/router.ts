import { createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Http2Server, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Clock } from "../../base/clock.ts";
import { lanePath } from "../protocol/lane.ts";
import { Filesystem } from "../protocol/generated/filesystem_pb.js";
import { Process } from "../protocol/generated/process_pb.js";
import type { Metadata } from "./attributes.ts";
import { checkAccess } from "./access.ts";
import { answerError, answerJson, StatusError, textOf } from "./answers.ts";
import { answerCompose, answerFiles } from "./files-route.ts";
import { filesystemService } from "./filesystem-service.ts";
import { serveTunnel } from "./guest-tunnel.ts";
import { answerLane } from "./lane-transfers.ts";
import type { Lanes } from "./lanes.ts";
import { init, type InitContext } from "./init.ts";
import { processService } from "./process-service.ts";
import type { MachineUsage } from "./machine-usage.ts";
import type { ProcessTable } from "./process-table.ts";
import type { Users } from "./users.ts";
import type { Watchers } from "./watchers.ts";

const initBytesMax = 1024 * 1024;
const messageBytesMax = 4 * 1024 * 1024;

export interface RouterContext extends InitContext {
  readonly table: ProcessTable;
  readonly users: Users;
  readonly usage: MachineUsage;
  readonly watchers: Watchers;
  readonly clock: Clock;
  readonly metadata: Metadata;
  readonly lanes: Lanes;
  readonly path: string;
}

/** What the agent answers to whom. */
export function route(server: Http2Server, context: RouterContext): void {
  const rpcs = rpcHandlers(context);
  server.on("connect", serveTunnel);
  server.on("request", (request, response) => {
    request.on("error", () => {}); // A client that leaves is no fault of the agent's.
    response.on("error", () => {});
    void answer(request, response, rpcs, context).catch((error: unknown) =>
      answerError(request, response, error),
    );
  });
}

async function answer(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  rpcs: ReadonlyMap<string, UniversalHandler>,
  context: RouterContext,
): Promise<void> {
  const path = request.url.split("?", 1)[0] ?? "/";
  checkAccess(path, request.headers["x-access-token"], context.settings.accessToken);
  const rpc = rpcs.get(path);
  if (rpc !== undefined) return await answerRpc(rpc, request, response);
  switch (`${request.method} ${path}`) {
    case "GET /health":
      response.writeHead(204, { "cache-control": "no-store" });
      response.end();
      return;
    case "POST /init":
      init(await textOf(request, initBytesMax), context);
      response.writeHead(204, { "cache-control": "no-store" });
      response.end();
      return;
    case "GET /metrics":
      return answerJson(response, 200, await context.usage.now());
    case "GET /envs":
      return answerJson(response, 200, context.settings.envVars);
    case `POST ${lanePath}`:
      return answerLane(response, context.lanes);
    case "POST /files/compose":
      return await answerCompose(request, response, context);
    case "GET /files":
    case "POST /files":
      return await answerFiles(request, response, context);
    default:
      throw new StatusError(404, `${request.method} ${path} is no route of the agent`);
  }
}

async function answerRpc(
  rpc: UniversalHandler,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
): Promise<void> {
  const answer = await rpc(universalRequestFromNodeRequest(request, response, undefined, undefined));
  await universalResponseToNodeResponse(answer, response);
}

function rpcHandlers(context: RouterContext): ReadonlyMap<string, UniversalHandler> {
  const router = createConnectRouter({
    grpc: false,
    grpcWeb: false,
    acceptCompression: [],
    readMaxBytes: messageBytesMax,
  });
  router.service(Process, processService(context));
  router.service(Filesystem, filesystemService(context));
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}
