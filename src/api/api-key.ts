import type { onRequestAsyncHookHandler } from "fastify";
import type { KeyChecker } from "./ports.ts";

/** Lets a request in that bears a good key, in `X-API-KEY` or as a bearer token; answers 401 to all others. */
export function requireApiKey(keys: KeyChecker): onRequestAsyncHookHandler {
  return async (request, reply) => {
    const key = keyOf(request.headers);
    if (key !== undefined && (await keys.allows(key))) return;
    const message =
      key === undefined
        ? "the API key is missing: send it in the header X-API-KEY"
        : "the API key is wrong; `larder env` prints the right one";
    void reply.code(401).send({ code: 401, message });
  };
}

/** The key that a request shows. */
export function keyOf(headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
  const { "x-api-key": key, authorization } = headers;
  if (typeof key === "string" && key !== "") return key;
  return /^Bearer +(\S+) *$/i.exec(typeof authorization === "string" ? authorization : "")?.[1];
}
