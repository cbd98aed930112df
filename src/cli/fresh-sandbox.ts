import { z } from "zod";
import type { ApiClient } from "./api-client.ts";

const created = z.object({ sandboxID: z.string(), envdAccessToken: z.string().optional() });

export interface FreshSandbox extends AsyncDisposable {
  readonly sandboxId: string;
  readonly accessToken: string | undefined;
}

/** A sandbox of one's own: disposing of it ends it, also when the user wants out; it may have ended by itself. */
export async function freshSandbox(
  api: ApiClient,
  request: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<FreshSandbox> {
  const create = { method: "POST", path: "/v2/sandboxes", body: request } as const;
  const { sandboxID: sandboxId, envdAccessToken: accessToken } = await api.json(created, create, signal);
  const end = async () => {
    const kill = { method: "DELETE", path: `/sandboxes/${sandboxId}` } as const;
    await api.page(kill, AbortSignal.timeout(10_000)).catch(() => "it is gone");
  };
  return { sandboxId, accessToken, [Symbol.asyncDispose]: end };
}
