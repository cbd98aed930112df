import { Code, ConnectError } from "@connectrpc/connect";
import type { Settings } from "./settings.ts";
import type { User, Users } from "./users.ts";

/** The user that an RPC is for: the name in its Basic credentials, else the default. Passwords mean nothing here. */
export function userOf(header: Headers, users: Users, settings: Settings): User {
  const name = basicName(header.get("authorization")) ?? settings.defaultUser;
  const user = users.byName(name);
  if (user === undefined) throw new ConnectError(`invalid username: '${name}'`, Code.Unauthenticated);
  return user;
}

function basicName(authorization: string | null): string | undefined {
  if (authorization === null) return undefined;
  const encoded = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization)?.[1];
  const name =
    encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8").split(":", 1)[0];
  if (name === undefined) throw new ConnectError("only Basic credentials name a user", Code.Unauthenticated);
  return name === "" ? undefined : name;
}
