import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Clock } from "../../base/clock.ts";
import type { Metadata } from "./attributes.ts";
import { answerJson, StatusError, textOf } from "./answers.ts";
import { checkFilesAccess, readQuery } from "./files-access.ts";
import { compose, readComposition } from "./files-compose.ts";
import { download } from "./files-download.ts";
import { upload } from "./files-upload.ts";
import { laneOf } from "./lane-transfers.ts";
import type { Lanes } from "./lanes.ts";
import { resolvePath } from "./paths.ts";
import type { KernelRandom } from "./kernel-random.ts";
import type { Settings } from "./settings.ts";
import type { User, Users } from "./users.ts";

export interface FilesContext {
  readonly users: Users;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly metadata: Metadata;
  readonly random: KernelRandom;
  readonly lanes: Lanes;
}

const compositionBytesMax = 4 * 1024 * 1024;

/** `GET /files` and `POST /files`. Checks access by itself: a signed query does as well as the token. */
export async function answerFiles(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  { users, settings, clock, metadata, lanes }: FilesContext,
): Promise<void> {
  const query = readQuery(request.url);
  const operation = request.method === "GET" ? "read" : "write";
  checkFilesAccess(operation, query, request.headers["x-access-token"], settings.accessToken, clock);
  const { user, resolve } = userNamed(query.username, { users, settings });
  if (operation === "read") return await download(resolve(query.path), { request, response, lanes });
  const path = query.path === "" ? undefined : query.path;
  const lane = laneOf(request, lanes);
  using _held = lane?.hold();
  answerJson(response, 200, await upload(request, { user, path, resolve, metadata, lane }));
}

/** `POST /files/compose`, for those who have the token. */
export async function answerCompose(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  context: FilesContext,
): Promise<void> {
  const asked = readComposition(await textOf(request, compositionBytesMax));
  const { user, resolve } = userNamed(asked.username, context);
  const sources = asked.sources.map(resolve);
  const composition = { sources, destination: resolve(asked.destination), user };
  answerJson(response, 200, await compose(composition, context.random));
}

function userNamed(
  username: string,
  { users, settings }: Pick<FilesContext, "users" | "settings">,
): { readonly user: User; readonly resolve: (path: string) => string } {
  const name = username === "" ? settings.defaultUser : username;
  const user = users.byName(name);
  if (user === undefined) throw new StatusError(401, `invalid username: '${name}'`);
  const { defaultWorkdir } = settings;
  return { user, resolve: (path) => resolvePath(path, { home: user.home, defaultWorkdir }) };
}
