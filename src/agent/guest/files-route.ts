import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Clock } from "../../base/clock.ts";
import type { Metadata } from "./attributes.ts";
import { answerJson, StatusError } from "./answers.ts";
import { checkFilesAccess, readQuery } from "./files-access.ts";
import { download } from "./files-download.ts";
import { upload } from "./files-upload.ts";
import { resolvePath } from "./paths.ts";
import type { Settings } from "./settings.ts";
import type { Users } from "./users.ts";

export interface FilesContext {
  readonly users: Users;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly metadata: Metadata;
}

/** `GET /files` and `POST /files`. Checks access by itself: a signed query does as well as the token. */
export async function answerFiles(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  { users, settings, clock, metadata }: FilesContext,
): Promise<void> {
  const query = readQuery(request.url);
  const operation = request.method === "GET" ? "read" : "write";
  checkFilesAccess(operation, query, request.headers["x-access-token"], settings.accessToken, clock);
  const name = query.username === "" ? settings.defaultUser : query.username;
  const user = users.byName(name);
  if (user === undefined) throw new StatusError(401, `invalid username: '${name}'`);
  const resolve = (path: string) =>
    resolvePath(path, { home: user.home, defaultWorkdir: settings.defaultWorkdir });
  if (operation === "read") return await download(resolve(query.path), request, response);
  const path = query.path === "" ? undefined : query.path;
  answerJson(response, 200, await upload(request, { user, path, resolve, metadata }));
}
