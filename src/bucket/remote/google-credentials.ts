import type { AuthClient } from "google-auth-library";
import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import type { Provider } from "./renewed.ts";

/** Reading and writing objects, nothing else. */
const scope = "https://www.googleapis.com/auth/devstorage.read_write";

/** How long a token is used that does not say until when it is good. */
const usualMs = 10 * 60_000;

/**
 * Access tokens from where Google's own programs look for credentials: GOOGLE_APPLICATION_CREDENTIALS (a service
 * account, or another provider's identity), gcloud's login, the metadata server. The library is loaded when it is
 * first needed. What it throws is not passed on as a cause: nobody can promise that no secret is in it.
 */
export function googleCredentials(clock: Clock): Provider<string> {
  let found: Promise<AuthClient> | undefined;
  return async (anew) => {
    if (anew) found = undefined;
    try {
      found ??= findClient();
      const client = await found;
      const { token } = await client.getAccessToken();
      if (token !== null && token !== undefined)
        return { value: token, expiresAt: client.credentials.expiry_date ?? clock.now() + usualMs };
    } catch (error) {
      found = undefined;
      throw failureOf(error);
    }
    throw new Failure("unavailable", "credentials for Google Cloud Storage hold no token");
  };
}

/** A project that is named is not looked for: that takes seconds outside Google's cloud, and buckets need none. */
async function findClient(): Promise<AuthClient> {
  const { GoogleAuth } = await import("google-auth-library");
  return await new GoogleAuth({ scopes: scope, projectId: "none" }).getClient();
}

function failureOf(error: unknown): Failure {
  if (error instanceof Error && /could not load the default credentials/i.test(error.message))
    return new Failure(
      "denied",
      "no credentials for Google Cloud Storage were found: set GOOGLE_APPLICATION_CREDENTIALS to a file of them, or " +
        "give this machine a service account",
    );
  const { code: given, status } = (error ?? {}) as { code?: string | number; status?: number };
  const code = String(status ?? given ?? "");
  if (/^40[013]$/.test(code))
    return new Failure(
      "denied",
      `the credentials for Google Cloud Storage were refused (${code}): check them`,
    );
  const shown = /^\w{1,40}$/.test(code) ? ` (${code})` : "";
  return new Failure("unavailable", `credentials for Google Cloud Storage could not be had${shown}`);
}
