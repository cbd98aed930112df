import { z } from "zod";
import type { ApiClient } from "./api-client.ts";

/** What the agent of one sandbox must be told. */
export interface GuestAccess {
  readonly sandboxId: string;
  readonly accessToken: string | undefined;
  readonly user: string | undefined;
}

const detail = z.looseObject({ sandboxID: z.string(), envdAccessToken: z.string().optional() });

/** Throws `not_found` when there is no such sandbox. */
export async function guestAccess(
  api: ApiClient,
  id: string,
  user: string | undefined,
  signal: AbortSignal,
): Promise<GuestAccess> {
  const call = { method: "GET", path: `/sandboxes/${encodeURIComponent(id)}` } as const;
  const { sandboxID, envdAccessToken } = await api.json(detail, call, signal);
  return { sandboxId: sandboxID, accessToken: envdAccessToken, user };
}

/** Headers of a call to the agent; a stream's type replaces that of a single message. */
export function guestHeaders({ sandboxId, accessToken, user }: GuestAccess): Record<string, string> {
  return {
    "content-type": "application/json",
    "connect-protocol-version": "1",
    "e2b-sandbox-id": sandboxId,
    "e2b-sandbox-port": "49983",
    ...(accessToken === undefined ? {} : { "x-access-token": accessToken }),
    ...(user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:`).toString("base64")}` }),
  };
}
